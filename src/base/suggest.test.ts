import assert from 'node:assert/strict'
import { test } from 'node:test'
import { didYouMean, suggest } from './suggest.js'

const words = ['vnetid', 'tunnel', '-tunnel', 'tunnelttl', 'mtu', 'up', 'down', 'alias', 'inet', 'inet6']

test('the nearest word, if it is near', () => {
  for (const [found, meant] of [
    ['vnetif', 'vnetid'],
    ['vnet-id', 'vnetid'],
    ['tunel', 'tunnel'],
    ['tunnle', 'tunnel'],
    ['TunnelTTL', 'tunnelttl'],
    ['mut', 'mtu'],
    ['pu', 'up'],
    ['inet5', 'inet'],
    ['donw', 'down'],
  ] as const)
    assert.equal(suggest(found, words), meant, found)
})

test('nothing, where nothing is near', () => {
  for (const found of ['wireguard', '', 'q', 'xyz']) assert.equal(suggest(found, words), undefined, found)
  assert.equal(didYouMean('wireguard', words), undefined)
  assert.equal(didYouMean('vnetif', words), 'did you mean vnetid?')
})

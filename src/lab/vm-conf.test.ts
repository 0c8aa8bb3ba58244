import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseVmConf } from './vm-conf.js'

const ARTICLE = `switch "local" {
    interface "bridge1"
}
vm "alice" {
    memory 512M
    disk "/home/_vmd/disk/alice.qcow2"
    cdrom "/home/_vmd/iso/install66.iso"
    interface { switch "local" }
    disable
}
`

test("the article's file", () => {
  const { switches, machines } = parseVmConf(ARTICLE, '/etc/vm.conf')
  assert.deepEqual(switches, [{ name: 'local', interface: 'bridge1', up: true, where: '/etc/vm.conf:1' }])
  assert.deepEqual(machines, [
    {
      name: 'alice',
      memory: 512 * 1024 * 1024,
      disks: ['/home/_vmd/disk/alice.qcow2'],
      cdrom: '/home/_vmd/iso/install66.iso',
      interfaces: [{ switch: 'local', up: true, where: '/etc/vm.conf:8' }],
      enabled: false,
      owner: 'root',
      where: '/etc/vm.conf:4',
    },
  ])
})

test('macros, comments, one-line blocks, addresses and further words', () => {
  const { machines } = parseVmConf(
    `path = "/vm" # where
switch "s" { interface switch0; locked lladdr }
`.replace(';', ',') +
      'vm "x" { memory 1G, disk $path format "raw", interfaces 2, owner user:group }\n' +
      'vm y {\n boot "/bsd"\n local interface\n interface tap3 { lladdr fe:e1:bb:d1:00:07\n switch s }\n}\n',
    'f',
  )
  assert.equal(machines[0]?.interfaces.length, 2)
  assert.equal(machines[0]?.disks[0], '/vm')
  assert.equal(machines[1]?.interfaces.length, 2)
  assert.equal(String(machines[1]?.interfaces[1]?.mac), 'fe:e1:bb:d1:00:07')
})

for (const [what, text, message] of [
  [
    'an unknown word',
    'vm "a" {\n  memmory 512M\n}\n',
    /^f:2: syntax error: found "memmory", expected memory, disk/,
  ],
  ['a missing brace', 'vm "a" {\n  memory 512M\n', /^f:2: .*found the end of the (line|file), expected \}/],
  ['an open quote', 'switch "local {\n', /^f:1: .*expected "/],
  ['a bad size', 'vm "a" { memory much }\n', /found "much", expected a size of at least 1M/],
  [
    'a switch that is not there',
    'vm "a" {\n interface { switch "loca" }\n}\n',
    /^f:2: .*found ""loca""|^f:2: .*"loca"/,
  ],
  ['the same machine twice', 'vm "a" { memory 1G }\nvm "a" { memory 1G }\n', /^f:2: vm defined twice/],
  [
    'a switch without interface',
    'switch "s" { up }\n',
    /switch "s" has no interface; add a line: interface bridge1/,
  ],
  [
    'an interface that is no bridge',
    'switch "s" { interface em0 }\n',
    /found "em0", expected bridgeN or switchN/,
  ],
  ['a name with a slash', 'vm "../x" { memory 1G }\n', /expected a name of letters/],
  ['a stray brace', '}\n', /^f:1: .*expected switch, vm/],
] as const)
  test(`vm.conf refuses ${what}`, () => {
    assert.throws(
      () => parseVmConf(text, 'f'),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'LAB_VM_CONF')
        assert.match(error.message, message)
        return true
      },
    )
  })

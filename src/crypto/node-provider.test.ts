import { nodeProvider } from './node-provider.js'
import { onHeap, testProvider } from './testing.js'

testProvider(nodeProvider, onHeap, 'on the heap')
testProvider(
  nodeProvider,
  (bytes) =>
    new Uint8Array(bytes.length + 32)
      .fill(9)
      .subarray(32)
      .map((_, i) => bytes[i]!),
  'in a view',
)

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate as quiet } from 'node:timers/promises'
import { seconds, type WarrenError } from '../base/index.js'
import { bytesOf, pattern, TestNetwork, type TestNetworkOptions } from '../stack/tcp/testing.js'
import { openSocket, type SocketOptions, type TcpSocket } from './socket.js'

interface Pair {
  readonly network: TestNetwork
  readonly client: TcpSocket
  readonly server: TcpSocket
}

/** Two sockets, connected, and a network that runs while the event loop turns. */
async function pair(options: TestNetworkOptions = {}, socketOptions: SocketOptions = {}): Promise<Pair> {
  const network = new TestNetwork(options)
  const now = () => network.now
  let server: TcpSocket | undefined
  network.b.listen({
    port: 80,
    onConnection: (connection) => {
      server = openSocket(connection, now, socketOptions)
    },
  })
  const connection = network.a.connect({ destination: network.addresses.b, port: 80 }, network.now)
  const client = openSocket(connection, now, socketOptions)
  const connected = once(client, 'connect')
  network.run(() => server !== undefined)
  await connected
  return { network, client, server: server! }
}

/** Lets the network run, an event at a time, until `done`; the event loop turns in between. */
async function drive(network: TestNetwork, done: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !done(); turn++) {
    let steps = 0
    network.run(() => done() || ++steps > 32, seconds(600))
    await quiet()
  }
  assert.ok(done(), 'the network ran dry')
}

/** All that arrives, as text. (Not by `for await`, which destroys a Duplex when its readable side ends.) */
function text(socket: TcpSocket): Promise<string> {
  let whole = ''
  socket.on('data', (chunk: Buffer) => {
    whole += chunk.toString('latin1')
  })
  return new Promise((resolve, reject) => {
    socket.once('end', () => resolve(whole))
    socket.once('error', reject)
  })
}

test('bytes go both ways, and both sides end', async () => {
  const { network, client, server } = await pair({}, { allowHalfOpen: true })
  const asked = text(server).then((question) => server.end(`you said ${question}`))
  const answered = text(client)
  client.write('hel')
  client.end('lo')
  await drive(network, () => client.closed && server.closed)
  await asked
  assert.equal(await answered, 'you said hello')
  assert.equal(client.bytesWritten, 5)
  assert.equal(server.bytesRead, 5)
})

test('without allowHalfOpen the end of one side ends the other', async () => {
  const { network, client, server } = await pair()
  server.resume()
  client.resume()
  client.end('bye')
  await drive(network, () => client.closed && server.closed)
  assert.ok(server.writableFinished)
})

test('a slow reader holds the writer back through the whole chain', async () => {
  const limits = { sendBuffer: 50_000, receiveBuffer: 50_000 }
  const { network, client, server } = await pair({ limits })
  const data = pattern(1_000_000)
  let finished = false
  client.end(data, () => {
    finished = true
  })
  network.run(() => false, seconds(30))
  await quiet()
  assert.equal(finished, false)
  assert.ok(
    client.bytesWritten < 250_000,
    `${client.bytesWritten} bytes were taken for a reader that does not read`,
  )
  const chunks: Buffer[] = []
  server.on('data', (chunk: Buffer) => chunks.push(chunk))
  await drive(network, () => server.readableEnded)
  assert.ok(Buffer.concat(chunks).equals(data))
})

test('destroy before the end is a RST, which the other side hears as ECONNRESET', async () => {
  const { network, client, server } = await pair()
  const failed = once(server, 'error')
  client.destroy()
  await drive(network, () => server.closed)
  const [error] = (await failed) as [WarrenError]
  assert.equal(error.code, 'ECONNRESET')
  assert.equal(server.readableEnded, false)
})

test('a closed port is ECONNREFUSED', async () => {
  const network = new TestNetwork()
  const connection = network.a.connect({ destination: network.addresses.b, port: 81 }, network.now)
  const socket = openSocket(connection, () => network.now)
  assert.ok(socket.connecting)
  const failed = once(socket, 'error')
  network.run(() => connection.state === 'CLOSED')
  const [error] = (await failed) as [WarrenError]
  assert.equal(error.code, 'ECONNREFUSED')
  assert.match(error.message, /Connection refused/)
  assert.match(error.message, /192\.0\.2\.2:81/)
})

test('writes before the handshake wait for it', async () => {
  const network = new TestNetwork()
  const now = () => network.now
  let heard = ''
  network.b.listen({
    port: 80,
    onConnection: (connection) => {
      openSocket(connection, now).on('data', (chunk: Buffer) => {
        heard += chunk.toString()
      })
    },
  })
  const socket = openSocket(
    network.a.connect({ destination: network.addresses.b, port: 80 }, network.now),
    now,
  )
  socket.write(bytesOf('early'))
  await drive(network, () => heard === 'early')
})

test('what is destroyed after both ends is still delivered', async () => {
  const { network, client, server } = await pair({ loss: 0.2, seed: 9 }, { allowHalfOpen: true })
  const data = pattern(200_000)
  const chunks: Buffer[] = []
  client.on('data', (chunk: Buffer) => chunks.push(chunk))
  server.resume()
  server.on('end', () => server.end(data))
  client.end()
  await drive(network, () => server.destroyed)
  assert.ok(!client.readableEnded, 'everything had arrived already: the test shows nothing')
  await drive(network, () => client.readableEnded)
  assert.ok(Buffer.concat(chunks).equals(data))
})

test('a socket over what failed already says so; silence is ETIMEDOUT', async () => {
  const network = new TestNetwork({ loss: 1 })
  const connection = network.a.connect({ destination: network.addresses.b, port: 80 }, network.now)
  network.run(() => connection.state === 'CLOSED')
  const socket = openSocket(connection, () => network.now)
  const [error] = (await once(socket, 'error')) as [WarrenError]
  assert.equal(error.code, 'ETIMEDOUT')
})

test('a socket over what is established already says so, and gives what has arrived', async () => {
  const network = new TestNetwork()
  network.b.listen({
    port: 80,
    onConnection: (connection, now) => {
      connection.write(bytesOf('banner'), now)
      connection.end(now)
    },
  })
  const connection = network.a.connect({ destination: network.addresses.b, port: 80 }, network.now)
  network.run(() => connection.state === 'CLOSE-WAIT')
  const socket = openSocket(connection, () => network.now)
  await once(socket, 'connect')
  assert.equal(await text(socket), 'banner')
})

test('a write after the peer reset is refused with its reason', async () => {
  const { network, client, server } = await pair()
  server.destroy()
  const failed = once(client, 'error')
  network.run(() => client.destroyed)
  const [error] = (await failed) as [WarrenError]
  assert.equal(error.code, 'ECONNRESET')
  const refused = await new Promise<Error | null | undefined>((resolve) => client.write('late', resolve))
  assert.equal((refused as NodeJS.ErrnoException).code, 'ERR_STREAM_DESTROYED')
})

/** TLS through `node:tls`, over a stream that leads nowhere: its ends are `receive` and `poll`. */
import { constants, type X509Certificate } from 'node:crypto'
import { Duplex } from 'node:stream'
import { connect, createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls'
import { concatBytes } from '../../base/index.js'
import type { TlsConversation, TlsEngine, TlsNews, TlsOptions, TlsVersion } from '../tls.js'
import { writePem } from '../x509/pem.js'
import { privateKeyPem } from './signature.js'

/** Certificates of the peer that are looked at. */
const SHOWN_MAX = 32

export const nodeTls: TlsEngine = { open: (options) => new NodeTlsConversation(options) }

class NodeTlsConversation implements TlsConversation {
  readonly #options: TlsOptions
  readonly #wire: Duplex
  readonly #news: TlsNews[] = []
  #server: Server | undefined
  #socket: TLSSocket | undefined
  #over = false

  constructor(options: TlsOptions) {
    this.#options = options
    const out = (chunks: readonly Uint8Array[]): void =>
      this.#tell({ kind: 'bytes', data: concatBytes(...chunks) })
    this.#wire = new Duplex({
      read() {},
      write(chunk: Uint8Array, _encoding, done) {
        out([chunk])
        done()
      },
      writev(chunks, done) {
        out(chunks.map(({ chunk }) => chunk as Uint8Array))
        done()
      },
    })
    this.#wire.on('error', (error) => this.#fail(error))
  }

  start(): void {
    this.#guarded(() => {
      const options = { ...this.#context(), rejectUnauthorized: false, requestCert: true }
      if (this.#options.role === 'client') {
        const socket = connect({ ...options, socket: this.#wire, checkServerIdentity: () => undefined })
        this.#listen(socket)
        socket.on('secureConnect', () => this.#established(socket))
        return
      }
      const server = createServer(options)
      server.on('tlsClientError', (error) => this.#fail(error))
      server.on('secureConnection', (socket) => {
        this.#listen(socket)
        this.#established(socket)
      })
      this.#server = server
      // A server that listens nowhere is given its one client.
      server.emit('connection', this.#wire)
    })
  }

  /**
   * One context a conversation, with ticket keys that nobody else has: no session can be resumed, so that each time both
   * prove who they are.
   */
  #context(): SecureContextOptions {
    const { key, certificates, authorities, role } = this.#options
    const isServer = role === 'server'
    const pem = (list: readonly Uint8Array[]): string =>
      list.map((der) => writePem('CERTIFICATE', der)).join('')
    return {
      key: privateKeyPem(key),
      cert: pem(certificates),
      // A client's would be shown behind its own; with none named Node would load those of the Web.
      ca:
        isServer && authorities.length > 0
          ? authorities.map((one) => pem([one]))
          : pem(certificates.slice(0, 1)),
      minVersion: 'TLSv1.2',
      maxVersion: this.#options.maxVersion ?? 'TLSv1.3',
      // Nothing is negotiated anew here, so that a server which does not know RFC 5746 (strongSwan's) does no harm.
      secureOptions:
        constants.SSL_OP_NO_TICKET |
        constants.SSL_OP_NO_COMPRESSION |
        constants.SSL_OP_NO_RENEGOTIATION |
        (isServer ? 0 : constants.SSL_OP_LEGACY_SERVER_CONNECT),
    }
  }

  #listen(socket: TLSSocket): void {
    this.#socket = socket
    socket.on('error', (error) => this.#fail(error))
    socket.on('data', (data: Uint8Array) => this.#tell({ kind: 'data', data: Uint8Array.from(data) }))
    socket.on('end', () => this.#fail(new Error('the peer has ended it')))
  }

  #established(socket: TLSSocket): void {
    const certificates: Uint8Array[] = []
    let shown: X509Certificate | undefined = socket.getPeerX509Certificate()
    for (; shown !== undefined && certificates.length < SHOWN_MAX; shown = shown.issuerCertificate)
      certificates.push(Uint8Array.from(shown.raw))
    this.#tell({ kind: 'established', version: socket.getProtocol() as TlsVersion, certificates })
  }

  receive(bytes: Uint8Array): void {
    if (!this.#over) this.#guarded(() => this.#wire.push(Uint8Array.from(bytes)))
  }

  send(data: Uint8Array): void {
    if (this.#over) return
    this.#socket?.write(data, (error) => {
      if (error === undefined || error === null) this.#tell({ kind: 'sent' })
    })
  }

  export(label: string, context: Uint8Array | undefined, length: number): Uint8Array {
    const socket = this.#socket!
    // No context and an empty one differ in TLS 1.2 (RFC 5705 section 4).
    const key =
      context === undefined
        ? (socket.exportKeyingMaterial as (length: number, label: string) => Buffer)(length, label)
        : socket.exportKeyingMaterial(length, label, Buffer.from(context))
    const copy = Uint8Array.from(key)
    key.fill(0)
    return copy
  }

  poll(): TlsNews | undefined {
    return this.#news.shift()
  }

  close(): void {
    this.#over = true
    this.#news.length = 0
    this.#socket?.destroy()
    this.#wire.destroy()
    this.#server?.close()
  }

  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#tell({ kind: 'failed', reason: reasonOf(error) })
    this.#over = true
  }

  #tell(news: TlsNews): void {
    if (this.#over) return
    this.#news.push(news)
    this.#options.wake()
  }
}

/** OpenSSL's own words of what went wrong: `tlsv1 alert unknown ca`. They name nothing secret. */
function reasonOf(error: unknown): string {
  const { reason, message, code } = error as { reason?: string; message?: string; code?: string }
  return (reason ?? message ?? code ?? 'an error').split('\n', 1)[0]!.slice(0, 200)
}

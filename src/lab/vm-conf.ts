/** vm.conf(5): switches and virtual machines. One wrong line refuses the whole file, with its place and the mend. */
import { MacAddress, WarrenError } from '../base/index.js'

export interface VmSwitch {
  readonly name: string
  /** `bridge1`, `switch0`. */
  readonly interface: string
  readonly up: boolean
  readonly where: string
}

export interface VmInterface {
  readonly switch?: string
  readonly mac?: MacAddress
  readonly up: boolean
  readonly where: string
}

export interface VmDefinition {
  readonly name: string
  /** Bytes. */
  readonly memory: number
  readonly disks: readonly string[]
  readonly cdrom?: string
  readonly interfaces: readonly VmInterface[]
  /** False: `disable`, it starts only by `vmctl start`. */
  readonly enabled: boolean
  readonly owner: string
  readonly where: string
}

export interface VmConf {
  readonly switches: readonly VmSwitch[]
  readonly machines: readonly VmDefinition[]
}

/** vmd's own limits: VM_MAX_DISKS_PER_VM and VM_MAX_NICS_PER_VM. */
const MAX_DISKS = 4
const MAX_INTERFACES = 4
const MAX_MACHINES = 64

interface Token {
  readonly text: string
  readonly line: number
  readonly quoted: boolean
}

/** `file` is the name that messages show. Throws `WarrenError` LAB_VM_CONF. */
export function parseVmConf(text: string, file: string): VmConf {
  return new Parser(tokenize(text, file), file).parse()
}

function tokenize(text: string, file: string): Token[] {
  const tokens: Token[] = []
  let line = 1
  for (let at = 0; at < text.length; ) {
    const char = text[at]!
    if (char === '\\' && text[at + 1] === '\n') {
      line++
      at += 2
    } else if (char === '\n' || char === '{' || char === '}' || char === ',' || char === '=') {
      tokens.push({ text: char, line, quoted: false })
      if (char === '\n') line++
      at++
    } else if (/\s/.test(char)) at++
    else if (char === '#') while (at < text.length && text[at] !== '\n') at++
    else if (char === '"') {
      const end = text.indexOf('"', at + 1)
      if (end < 0 || text.slice(at, end).includes('\n'))
        throw wrong(file, line, 'a quote without its end', '"')
      tokens.push({ text: text.slice(at + 1, end), line, quoted: true })
      at = end + 1
    } else {
      const [word = char] = /^[^\s{},="#]+/.exec(text.slice(at)) ?? []
      tokens.push({ text: word, line, quoted: false })
      at += word.length
    }
  }
  return tokens
}

const wrong = (file: string, line: number, found: string, expected: string, mend?: string): WarrenError =>
  new WarrenError('LAB_VM_CONF', 'syntax error', {
    found: found === '' ? 'the end of the file' : found === '\n' ? 'the end of the line' : `"${found}"`,
    expected,
    where: `${file}:${line}`,
    ...(mend === undefined ? {} : { mend }),
  })

class Parser {
  readonly #file: string
  readonly #tokens: Token[]
  readonly #macros = new Map<string, string>()
  readonly #switches: VmSwitch[] = []
  readonly #machines: VmDefinition[] = []
  #at = 0

  constructor(tokens: Token[], file: string) {
    this.#tokens = tokens
    this.#file = file
  }

  parse(): VmConf {
    for (;;) {
      this.#blankLines()
      const token = this.#peek()
      if (token === undefined) break
      if (this.#tokens[this.#at + 1]?.text === '=') this.#macro()
      else if (this.#take('switch')) this.#switch(token.line)
      else if (this.#take('vm')) this.#machine(token.line)
      else if (this.#take('local')) this.#restOfLine()
      else if (this.#take('socket') || this.#take('staggered')) this.#restOfLine()
      else this.#refuse('switch, vm, local, socket, staggered or a macro')
      if (this.#peek() !== undefined && this.#peek()?.text !== '\n') this.#refuse('the end of the line')
    }
    this.#check()
    return { switches: this.#switches, machines: this.#machines }
  }

  #check(): void {
    for (const machine of this.#machines)
      for (const { switch: name, where } of machine.interfaces)
        if (name !== undefined && !this.#switches.some((one) => one.name === name))
          throw new WarrenError('LAB_VM_CONF', `vm "${machine.name}" uses a switch that is not there`, {
            found: `"${name}"`,
            expected: this.#switches.map((one) => `"${one.name}"`).join(', ') || 'a switch block before it',
            where,
            mend: `add switch "${name}" { interface bridge1 }`,
          })
  }

  #macro(): void {
    const name = this.#next().text
    this.#next()
    this.#macros.set(name, this.#word('a value'))
  }

  #switch(line: number): void {
    const name = this.#word('the name of the switch')
    const where = `${this.#file}:${line}`
    if (this.#switches.some((one) => one.name === name))
      throw new WarrenError('LAB_VM_CONF', 'switch defined twice', { found: `"${name}"`, where })
    let ifc: string | undefined
    let up = true
    this.#block((word) => {
      switch (word) {
        case 'interface': {
          const { line: at } = this.#peek() ?? { line }
          ifc = this.#word('an interface')
          if (!/^(bridge|switch|veb)\d+$/.test(ifc)) throw wrong(this.#file, at, ifc, 'bridgeN or switchN')
          return true
        }
        case 'enable':
        case 'up':
          up = true
          return true
        case 'disable':
        case 'down':
          up = false
          return true
        case 'locked':
          this.#take('lladdr')
          return true
        case 'group':
        case 'rdomain':
          this.#word('a name')
          return true
      }
      return false
    }, 'interface, up, down, enable, disable, group, locked lladdr, rdomain')
    if (ifc === undefined)
      throw new WarrenError('LAB_VM_CONF', `switch "${name}" has no interface`, {
        where,
        mend: 'add a line: interface bridge1',
      })
    this.#switches.push({ name, interface: ifc, up, where })
  }

  #machine(line: number): void {
    const name = this.#word('the name of the machine')
    const where = `${this.#file}:${line}`
    if (this.#machines.some((one) => one.name === name))
      throw new WarrenError('LAB_VM_CONF', 'vm defined twice', {
        found: `"${name}"`,
        where,
        mend: 'remove one of the two blocks',
      })
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
      throw wrong(
        this.#file,
        line,
        name,
        'a name of letters, digits, dot, dash, that begins with a letter or digit',
      )
    if (this.#machines.length >= MAX_MACHINES)
      throw new WarrenError('LAB_VM_CONF', 'too many machines', {
        expected: `at most ${MAX_MACHINES}`,
        where,
      })
    let memory = 512 << 20
    const disks: string[] = []
    let cdrom: string | undefined
    const interfaces: VmInterface[] = []
    let enabled = true
    let owner = 'root'
    this.#block((word, at) => {
      switch (word) {
        case 'memory':
          memory = this.#size()
          return true
        case 'disk':
          disks.push(this.#word('the path of a disk'))
          if (this.#take('format')) this.#word('raw or qcow2')
          if (disks.length > MAX_DISKS) throw wrong(this.#file, at, 'disk', `at most ${MAX_DISKS} disks`)
          return true
        case 'cdrom':
          cdrom = this.#word('the path of an image')
          return true
        case 'interface':
          interfaces.push(this.#interface(at))
          break
        case 'interfaces': {
          const count = Number(this.#word('a number'))
          if (!(count >= 0 && count <= MAX_INTERFACES))
            throw wrong(this.#file, at, String(count), `0 to ${MAX_INTERFACES}`)
          while (interfaces.length < count) interfaces.push({ up: true, where: `${this.#file}:${at}` })
          break
        }
        case 'local':
          this.#take('interface')
          interfaces.push({ up: true, where: `${this.#file}:${at}` })
          break
        case 'boot':
          if (this.#take('device')) {
            this.#word('a device')
            return true
          }
          this.#word('the path of a kernel')
          return true
        case 'owner':
          owner = this.#word('a user')
          return true
        case 'enable':
          enabled = true
          return true
        case 'disable':
          enabled = false
          return true
        case 'allow':
          this.#take('instance')
          this.#block(() => {
            this.#rest()
            return true
          }, '')
          return true
        case 'instance':
          this.#word('the name of a machine')
          return true
        default:
          return false
      }
      if (interfaces.length > MAX_INTERFACES)
        throw wrong(this.#file, at, 'interface', `at most ${MAX_INTERFACES} interfaces`)
      return true
    }, 'memory, disk, cdrom, interface, interfaces, local interface, boot, owner, enable, disable, allow instance, instance')
    this.#machines.push({
      name,
      memory,
      disks,
      interfaces,
      enabled,
      owner,
      where,
      ...(cdrom === undefined ? {} : { cdrom }),
    })
  }

  #interface(line: number): VmInterface {
    if (this.#peek()?.text !== '{' && this.#peek()?.text !== '\n' && this.#peek()?.text !== '}')
      this.#word('the name of a tap')
    const found: { switch?: string; mac?: MacAddress; up: boolean } = { up: true }
    if (this.#peek()?.text === '{')
      this.#block((word, at) => {
        switch (word) {
          case 'switch':
            found.switch = this.#word('the name of a switch')
            return true
          case 'locked':
          case 'lladdr': {
            if (word === 'locked' && !this.#take('lladdr')) this.#refuse('lladdr')
            const next = this.#peek()
            if (next === undefined || next.text === '\n' || next.text === '}') return true
            const mac = MacAddress.parse(this.#word('an address'))
            if (mac === undefined)
              throw wrong(this.#file, at, next.text, 'six bytes, as in fe:e1:bb:d1:00:01')
            found.mac = mac
            return true
          }
          case 'up':
          case 'down':
            found.up = word === 'up'
            return true
          case 'group':
          case 'rdomain':
            this.#word('a name')
            return true
        }
        return false
      }, 'switch, lladdr, locked lladdr, up, down, group, rdomain')
    return { ...found, where: `${this.#file}:${line}` }
  }

  /** `{ … }`; `option` reads the words behind its name and says whether it knows the name. */
  #block(option: (word: string, line: number) => boolean, expected: string): void {
    this.#blankLines()
    if (!this.#take('{')) this.#refuse('{')
    for (;;) {
      while (this.#take('\n') || this.#take(',')) {}
      if (this.#take('}')) return
      const token = this.#peek()
      if (token === undefined) this.#refuse('}')
      else if (token.quoted) this.#refuse(expected)
      else {
        this.#next()
        if (!option(token.text, token.line)) {
          this.#at--
          this.#refuse(expected)
        }
      }
    }
  }

  /** `512M`, `1G`: vmctl and vm.conf count in megabytes at least. */
  #size(): number {
    const token = this.#peek()
    const text = this.#word('a size')
    const [, digits, unit] = /^(\d+)([KMGT]?)$/i.exec(text) ?? []
    const bytes = Number(digits) * 1024 ** ' KMGT'.indexOf((unit || ' ').toUpperCase())
    if (digits === undefined || bytes < 1 << 20)
      throw wrong(this.#file, token?.line ?? 1, text, 'a size of at least 1M, as in 512M or 1G')
    return bytes
  }

  #word(what: string): string {
    const token = this.#peek()
    if (token === undefined || (!token.quoted && ['\n', '{', '}', ',', '='].includes(token.text)))
      this.#refuse(what)
    this.#at++
    const text = token?.text ?? ''
    if (token?.quoted || !text.startsWith('$')) return text
    const value = this.#macros.get(text.slice(1))
    if (value === undefined) throw wrong(this.#file, token?.line ?? 1, text, 'a macro that is defined above')
    return value
  }

  #rest(): void {
    while (this.#peek() !== undefined && this.#peek()?.text !== '\n' && this.#peek()?.text !== '}') this.#at++
  }

  #restOfLine(): void {
    while (this.#peek() !== undefined && this.#peek()?.text !== '\n') this.#at++
  }

  #blankLines(): void {
    while (this.#take('\n')) {}
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at]
  }

  #next(): Token {
    return this.#tokens[this.#at++] ?? { text: '', line: 0, quoted: false }
  }

  #take(text: string): boolean {
    const token = this.#peek()
    if (token === undefined || token.quoted || token.text !== text) return false
    this.#at++
    return true
  }

  #refuse(expected: string): never {
    const token = this.#peek()
    const line = token?.line ?? this.#tokens.at(-1)?.line ?? 1
    throw wrong(this.#file, line, token?.text ?? '', expected)
  }
}

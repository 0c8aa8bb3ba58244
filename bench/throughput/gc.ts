/** Counts what V8's `--trace-gc` prints, of every isolate of the processes that are watched. */

/** `[pid:isolate] since ms: Kind …`; a minor mark-compact is the young generation's, as a scavenge is. */
const LINE = /^\[\d+:0x[0-9a-f]+\]\s+\d+ ms: (Scavenge|Minor Mark|Mark)/

export class GcCounter {
  scavenges = 0
  /** The lines of the major ones, with V8's reason for each. */
  readonly majors: string[] = []

  line(text: string): void {
    const kind = LINE.exec(text)?.[1]
    if (kind === undefined) return
    if (kind === 'Mark') this.majors.push(text)
    else this.scavenges++
  }
}

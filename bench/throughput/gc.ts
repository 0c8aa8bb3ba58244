/** Counts what V8's `--trace-gc` prints, of every isolate of the processes that are watched. */

/** `[pid:isolate] since ms: Kind …`; a minor mark-compact is the young generation's, as a scavenge is. */
const LINE = /^\[\d+:0x[0-9a-f]+\]\s+\d+ ms: (Scavenge|Minor Mark|Mark)/

export class GcCounter {
  scavenges = 0
  major = 0

  line(text: string): void {
    const kind = LINE.exec(text)?.[1]
    if (kind === undefined) return
    if (kind === 'Mark') this.major++
    else this.scavenges++
  }
}

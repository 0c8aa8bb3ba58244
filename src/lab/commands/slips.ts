/**
 * Where the article's commands, played one after the other on the same machines, would not do what its text says:
 * said on standard error, and what was meant is done. docs/errata.md lists them.
 */
import type { LabCommand } from '../command.js'
import type { LabMachine } from '../machine.js'

/**
 * The GRE section gives gre0 the addresses that gif0 still has from the section before, and then shows its packets.
 * Two routes to one peer would leave the traffic on the older tunnel: the newer one is meant.
 */
export const newerTunnelMeant =
  (ifconfig: LabCommand): LabCommand =>
  async (args, context) => {
    const result = await ifconfig(args, context)
    const [name] = args
    if (result.exitCode !== 0 || name === undefined) return result
    const notes = takePeers(context.host, name)
    return notes === '' ? result : { ...result, stderr: result.stderr + notes }
  }

function takePeers(host: LabMachine, name: string): string {
  const newer = host.device(name)?.interface
  if (newer?.kind !== 'point-to-point') return ''
  let notes = ''
  for (const { address, peer } of newer.addresses) {
    if (peer === undefined) continue
    for (const { interface: older } of host.devices.values()) {
      if (older === newer || older.kind !== 'point-to-point') continue
      // Only the one that was configured last can be meant; `ifconfig gif0` again would take it back.
      if (!older.addresses.some((own) => own.address.equals(address) && own.peer?.equals(peer) === true))
        continue
      host.stack.removeAddress(older, address, host.now())
      notes += `ifconfig: ${older.name} has ${address} --> ${peer} too: ${name} is meant, taken from ${older.name}\n`
    }
  }
  return notes
}

/** Runs scenarios: makes the lab, brings it to its entry state, plays, checks, and says how it went. */
import { between, seconds, toMilliseconds, WarrenError } from '../base/index.js'
import { type BridgeFrame, Lab, type LabOptions } from './lab.js'
import { type PlayedCommand, Player, type PlayOptions } from './player.js'
import { ADDRESSES, HOST } from './scenarios/article.js'
import type { Scenario } from './scenarios/index.js'

/** The facts that `warren lab --json` prints. */
export interface ScenarioResult {
  readonly name: string
  readonly heading: string
  readonly ok: boolean
  /** What failed; `null` if nothing did. */
  readonly error: string | null
  /** Frames that the bridge carried. */
  readonly packets: number
  readonly virtualMs: number
  readonly wallMs: number
}

export interface ScenarioReport extends ScenarioResult {
  readonly played: readonly PlayedCommand[]
  readonly frames: readonly BridgeFrame[]
  readonly lab: Lab
}

export interface RunOptions extends LabOptions, Pick<PlayOptions, 'onStart' | 'onEnd'> {
  /** The scenario's lab is ready; its script begins. */
  readonly onReady?: (lab: Lab) => void
  /** Real time in milliseconds; only `wallMs` comes of it. */
  readonly wallClock?: () => number
}

/** The testbed as the article leaves it after its post-installation section. */
export async function testbedLab(options: LabOptions = {}): Promise<Lab> {
  const lab = await Lab.bare(options)
  const player = new Player(lab)
  const played = await player.play(`${HOST}\n${ADDRESSES}`)
  const failed = played.find(({ exit }) => exit !== 0)
  if (failed !== undefined)
    throw new WarrenError('LAB_TESTBED', 'the testbed could not be built', {
      where: `${failed.host}: ${failed.command}`,
      found: failed.stderr.trim(),
    })
  // The new addresses announce themselves; that is over before anybody looks.
  await lab.clock.advance(seconds(2))
  return lab
}

export async function runScenario(scenario: Scenario, options: RunOptions = {}): Promise<ScenarioReport> {
  const wallClock = options.wallClock ?? (() => 0)
  const startedWall = wallClock()
  const lab = scenario.bare === true ? await Lab.bare(options) : await testbedLab(options)
  const started = lab.clock.now()
  const before = lab.frames.length
  options.onReady?.(lab)
  const player = new Player(lab, {
    ...(options.onStart === undefined ? {} : { onStart: options.onStart }),
    ...(options.onEnd === undefined ? {} : { onEnd: options.onEnd }),
  })
  let error: string | null = null
  try {
    await player.play(scenario.script)
    scenario.check({ lab, played: player.played, frames: lab.frames.slice(before) })
  } catch (problem) {
    error = problem instanceof Error ? problem.message : String(problem)
  }
  const frames = lab.frames.slice(before)
  return {
    name: scenario.name,
    heading: scenario.heading,
    ok: error === null,
    error,
    packets: frames.length,
    virtualMs: toMilliseconds(between(started, lab.clock.now())),
    wallMs: Math.round((wallClock() - startedWall) * 10) / 10,
    played: player.played,
    frames,
    lab,
  }
}

/** How commands change the mesh's settings, and what they say of it. */
import { userInfo } from "node:os"
import { isDeepStrictEqual } from "node:util"
import * as Options from "@effect/cli/Options"
import { Console, Effect, Option } from "effect"
import { type AdminTarget, withAdmin } from "../admin/AdminClient.ts"
import type { SettingStatus, SettingsChange, SettingsChanged } from "../admin/SettingsModel.ts"
import { settingLimits } from "../model/Setting.ts"
import { Millis } from "../schema/Duration.ts"
import { controlOptions } from "./ChosenNode.ts"
import { type CommandFailed, failCommand, wrongUsage } from "./CommandFailed.ts"
import { counted, firstOf, span } from "./Figures.ts"
import { readAs } from "./NodeAddress.ts"

export const changeOptions = {
  ...controlOptions,
  why: Options.text("why").pipe(
    Options.withPseudoName("text"),
    Options.withDescription("Why, for who reads the history"),
    Options.optional
  ),
  wait: Options.text("wait").pipe(
    Options.withPseudoName("duration"),
    Options.withDefault("10s"),
    Options.mapEffect(readAs(Millis, "--wait")),
    Options.withDescription(
      "Wait so long until all reachable nodes have it (default: 10s; 0s: not at all)"
    )
  )
}

export type Change = SettingsChange["changes"][number]

/** The longest that a node waits, ms. */
const longestWait = 300_000

/** Bytes of one request: half of what the admin API takes, since JSON grows on its way. */
const batchBytes = 32 * 1024
const batchCount = 256

/** Who asks: the user of this process, as far as the system knows one. */
export const author = (): string => {
  try {
    return userInfo().username
  } catch {
    return "unknown"
  }
}

const batches = (changes: ReadonlyArray<Change>): ReadonlyArray<ReadonlyArray<Change>> => {
  const all: Array<Array<Change>> = []
  let bytes = Number.POSITIVE_INFINITY
  for (const change of changes) {
    const size = JSON.stringify(change).length
    const last = all.at(-1)
    if (last === undefined || bytes + size > batchBytes || last.length === batchCount) {
      all.push([change])
      bytes = size
    } else {
      last.push(change)
      bytes += size
    }
  }
  return all
}

export interface Sending {
  readonly why: Option.Option<string>
  /** ms */
  readonly wait: number
}

/** So long the node waits, ms. */
export const waitOf = ({ wait }: Pick<Sending, "wait">): number =>
  Math.min(Math.round(wait), longestWait)

/** In the parts in which they are sent. */
const partsOf = (
  changes: ReadonlyArray<Change>,
  { why }: Pick<Sending, "why">
): Effect.Effect<ReadonlyArray<ReadonlyArray<Change>>, CommandFailed> =>
  Option.isSome(why) && why.value.length > settingLimits.why
    ? Effect.fail(wrongUsage(`--why takes at most ${settingLimits.why} characters`))
    : Effect.succeed(
        batches(
          changes.map((change) => (Option.isSome(why) ? { ...change, why: why.value } : change))
        )
      )

/** Has the node judge them as it would if they were sent, and fails as sending them would. */
export const tryChanges = (
  control: AdminTarget,
  changes: ReadonlyArray<Change>,
  sending: Pick<Sending, "why">
) =>
  Effect.flatMap(partsOf(changes, sending), (parts) =>
    Effect.forEach(
      parts,
      (part) =>
        withAdmin(control, (client) =>
          client.settings.check({ payload: { changes: part, author: author() } })
        ),
      { discard: true }
    )
  )

/** Sends them, says what came of each, and fails when somebody who is there has not got it in time. */
export const sendChanges = (
  control: AdminTarget,
  changes: ReadonlyArray<Change>,
  { why, wait }: Sending
) =>
  Effect.gen(function* () {
    const waitMs = waitOf({ wait })
    const seen: Array<NonNullable<SettingsChanged["seen"]>> = []
    for (const batch of yield* partsOf(changes, { why })) {
      const result = yield* withAdmin(
        control,
        (client) =>
          client.settings.change({ payload: { changes: batch, author: author(), waitMs } }),
        waitMs + 15_000
      )
      for (const { id, kind, name, outcome, settles } of result.results) {
        const settled =
          settles === 0 ? "" : `; that settles it with ${counted(settles, "other version")}`
        yield* Console.error(`${kind} ${name} ${outcome} (${id})${settled}`)
      }
      if (result.seen !== null) seen.push(result.seen)
    }
    yield* tellSeen(seen, wait)
  })

export const tellSeen = (seen: ReadonlyArray<NonNullable<SettingsChanged["seen"]>>, wait: number) =>
  Effect.gen(function* () {
    const [first] = seen
    if (first === undefined) return
    const worst = seen.reduce((a, b) => (b.missing.length > a.missing.length ? b : a), first)
    const away = Array.from(new Set(seen.flatMap((one) => one.away)))
    yield* Console.error(`seen by ${worst.nodes} of ${counted(worst.of, "reachable node")}`)
    if (away.length > 0) {
      yield* Console.error(`not there now, and told when they are: ${firstOf(away)}`)
    }
    if (worst.missing.length > 0) {
      return yield* failCommand(
        `it is set, and ${firstOf(worst.missing)} had not got it after ${span(wait)}; \`skein peers\` says how they stand`
      )
    }
  })

export type Outlook = "create" | "change" | "settle" | "nothing"

/** What applying this would do, as this node sees it. */
export const outlook = (
  current: ReadonlyArray<SettingStatus>,
  { kind, name, body }: Pick<Change, "kind" | "name" | "body">
): { readonly outlook: Outlook; readonly before: SettingStatus | undefined } => {
  const before = current.find((one) => one.kind === kind && one.name === name)
  if (before === undefined || before.body === null) return { outlook: "create", before }
  if (!isDeepStrictEqual(before.body, body)) return { outlook: "change", before }
  return { outlook: before.conflict.length > 0 ? "settle" : "nothing", before }
}

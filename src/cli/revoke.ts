/** `skein revoke`: throws a node out of the mesh, takes a service from it, or takes an invite back. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Clock, Console, Effect, Option } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import type { RevocationStatus, RevokeResult } from "../admin/TrustModel.ts"
import { chosenControl, chosenNode } from "./ChosenNode.ts"
import { wrongUsage } from "./CommandFailed.ts"
import { missing, span } from "./Figures.ts"
import { author, changeOptions, tellSeen, waitOf } from "./SettingChanges.ts"
import { type Column, renderTable } from "./Table.ts"
import { print, type Showing } from "./View.ts"

const target = Args.text({ name: "target" }).pipe(
  Args.withDescription(
    "NODE (name or peer id), NODE/SERVICE to take a service from it, or an invite: token or id. Without one: what is revoked"
  ),
  Args.optional
)

const withAdmitted = Options.boolean("with-admitted").pipe(
  Options.withDescription(
    "Throw out those it has let in as well, but for whom somebody else has signed since (default: they stay)"
  )
)

const columns = (now: number): ReadonlyArray<Column<RevocationStatus>> => [
  { title: "WHAT", cell: ({ kind }) => kind },
  { title: "WHOSE", cell: ({ target }) => target },
  { title: "SINCE", cell: ({ at }) => span(Math.max(0, now - at)), align: "right" },
  { title: "BY", cell: ({ by }) => by },
  { title: "WHY", cell: ({ why }) => why ?? missing },
  { title: "TAKE BACK", cell: ({ setting }) => `skein delete trust ${setting}`, tone: () => "dim" }
]

export const renderRevoked = (
  all: ReadonlyArray<RevocationStatus>,
  { colour, now }: Showing
): string => renderTable(columns(now), all, { colour, empty: "Nothing is revoked." })

/** Services of a list that are named. */
const named = 8

const inWords = (services: ReadonlyArray<string>): string => {
  const first = services.slice(0, named).join(", ")
  return services.length > named ? `${first} and ${services.length - named} more` : first
}

/** What a service was that is revoked now, as far as is known. `setting`: what takes it back. */
export const renderMatch = (
  match: Exclude<RevokeResult["match"], undefined>,
  setting: string
): string => {
  if (match === null) {
    return "the certificate of that node is not known here, and so not what this takes from it; it holds from when it is met"
  }
  const { granted, of, offered, service, taken, withdrawn } = match
  if (withdrawn.length > 0) return `${of} offers this no more: ${inWords(withdrawn)}`
  const back = `f the name is wrong, \`skein delete trust ${setting}\` takes it back`
  if (taken.length === 0) {
    const what =
      granted.length === 0
        ? "grants no services at all"
        : `grants nothing called ${service}, but ${inWords(granted)}`
    return `nothing is taken by it as yet: the certificate of ${of} that is known here ${what}. It holds for one that does; i${back}`
  }
  const what =
    offered.length === 0
      ? "no service is offered there now"
      : `no such service is offered there now, but ${inWords(offered)}`
  return `of what ${of} is granted (${inWords(taken)}) it is taken; ${what}. I${back}`
}

export const revoke = Command.make("revoke", { ...changeOptions, target, withAdmitted }, (choice) =>
  Effect.gen(function* () {
    if (Option.isNone(choice.target)) {
      const address = yield* chosenNode(choice)
      const all = yield* withAdmin(address, (client) => client.views.revoked({}))
      const now = yield* Clock.currentTimeMillis
      return yield* print(renderRevoked(all, { colour: false, now }))
    }
    if (choice.target.value.trim() === "") {
      return yield* wrongUsage(
        "say whom or what to revoke: NODE, NODE/SERVICE, or an invite's token or id"
      )
    }
    const control = yield* chosenControl(choice)
    const waitMs = waitOf(choice)
    const payload = {
      waitMs,
      target: choice.target.value,
      ...Option.match(choice.why, { onNone: () => ({}), onSome: (text) => ({ why: text }) }),
      author: author(),
      withAdmitted: choice.withAdmitted
    }
    const result = yield* withAdmin(
      control,
      (client) => client.actions.revoke({ payload }),
      waitMs + 15_000
    )
    for (const line of result.revoked) yield* print(`${line}\n`)
    if (result.match !== undefined && result.setting !== undefined) {
      yield* Console.error(renderMatch(result.match, result.setting))
    }
    if (result.stay.length > 0) {
      yield* Console.error(`whom it has let in stay: ${result.stay.join(", ")}`)
    }
    yield* tellSeen(result.seen === null ? [] : [result.seen], choice.wait)
  })
).pipe(Command.withDescription("Throw out a node, take a service from it, or take an invite back"))

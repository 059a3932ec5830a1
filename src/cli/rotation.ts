/** `skein root status|rotate|finish`: replaces the root of the mesh by overlap. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Clock, Console, Effect, Option } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import type { FinishResult, RootsStatus } from "../admin/TrustModel.ts"
import { RootId } from "../schema/TrustSchema.ts"
import { chosenControl, chosenNode, controlOptions } from "./ChosenNode.ts"
import { counted, missing, span } from "./Figures.ts"
import { author, changeOptions, tellSeen, waitOf } from "./SettingChanges.ts"
import { type Column, renderTable } from "./Table.ts"
import { print, type Showing } from "./View.ts"

type RootRow = RootsStatus["roots"][number]
type LeftRow = RootsStatus["left"][number]

const ago = (at: number | null, now: number): string =>
  at === null ? missing : `${span(Math.max(0, now - at))} ago`

const rootColumns = (now: number): ReadonlyArray<Column<RootRow>> => [
  { title: "ROOT", cell: ({ id }) => id },
  {
    title: "STATE",
    cell: ({ hasKey, isNewest, withdrawnAt }) =>
      withdrawnAt !== null
        ? "withdrawn"
        : `${isNewest ? "newest" : "in force"}${hasKey ? ", key here" : ""}`,
    tone: ({ isNewest }) => (isNewest ? undefined : "dim")
  },
  { title: "NODES", cell: ({ members }) => String(members), align: "right" },
  { title: "ADDED", cell: ({ addedAt }) => ago(addedAt, now) },
  { title: "WITHDRAWN", cell: ({ withdrawnAt }) => ago(withdrawnAt, now) }
]

const leftColumns: ReadonlyArray<Column<LeftRow>> = [
  { title: "NODE", cell: ({ node }) => node },
  { title: "UNDER", cell: ({ root }) => root ?? missing },
  { title: "THERE", cell: ({ isThere }) => (isThere ? "yes" : "no") },
  { title: "WHY", cell: ({ why }) => why }
]

/** Two successors of one root: what an operator has to know before anything else. */
const rivalry = ({ roots }: RootsStatus): string => {
  const rival = roots.find(({ isNewest }) => isNewest)?.rivals ?? []
  if (rival.length === 0) return ""
  const mine = roots.find(({ hasKey, rivals }) => hasKey && rivals.length > 0)
  const keep = mine?.id ?? "ID"
  return [
    "One root has several successors in force: it was rotated twice, or somebody else holds its key.",
    "Everybody moves under the newest, whoever made that. If one of them is not yours, withdraw it at once,",
    `where the key of the one that stays is: skein root finish --keep ${keep}`,
    "(before that, skein revoke members that you do not know; what is to be applied again is printed).\n"
  ].join("\n")
}

export const renderRoots = (status: RootsStatus, { colour, now }: Showing): string => {
  const { hasKey, left, notYet, roots } = status
  const isRotating = roots.filter(({ withdrawnAt }) => withdrawnAt === null).length > 1
  const all = renderTable(rootColumns(now), roots, { colour, empty: "" })
  const held = roots.find((root) => root.hasKey)
  const key = hasKey
    ? "This node holds the key of the newest root."
    : held === undefined
      ? "This node does not hold the key of the newest root."
      : `This node holds the key of the root ${held.id}, which is not the newest.`
  if (!isRotating) return `${all}\n${key} No rotation is under way.\n`
  const others =
    left.length === 0
      ? "Everybody stands under the newest root."
      : `Not under the newest root:\n${renderTable(leftColumns, left, { colour, empty: "" })}`
  return `${all}\n${rivalry(status)}${others.trimEnd()}\n${key} ${
    notYet === null
      ? "skein root finish withdraws the older ones, and nobody who is there notices."
      : `Not to be finished here and now: ${notYet}.`
  }\n`
}

export const status = Command.make("status", controlOptions, (choice) =>
  Effect.gen(function* () {
    const address = yield* chosenNode(choice)
    const roots = yield* withAdmin(address, (client) => client.views.roots({}))
    yield* print(renderRoots(roots, { colour: false, now: yield* Clock.currentTimeMillis }))
  })
).pipe(Command.withDescription("The roots of the mesh, and who stands under which"))

const whyOf = (why: Option.Option<string>) => (Option.isSome(why) ? { why: why.value } : {})

export const rotate = Command.make("rotate", changeOptions, (choice) =>
  Effect.gen(function* () {
    const control = yield* chosenControl(choice)
    const waitMs = waitOf(choice)
    const payload = { waitMs, author: author(), ...whyOf(choice.why) }
    const done = yield* withAdmin(
      control,
      (client) => client.actions.rotateRoot({ payload }),
      waitMs + 15_000
    )
    yield* print(`${done.root}\n`)
    yield* Console.error(
      [
        `the mesh has a new root ${done.root}, in force beside ${done.replaces}`,
        "its key is root.key in this node's data directory, in place of the old one: keep a copy in a safe place (skein root export)",
        ...(done.rivals.length === 0
          ? []
          : [
              `other successors are in force: ${done.rivals.join(", ")}; if they are not yours, skein revoke members that you do not know, and then skein root finish --keep ${done.root}`
            ]),
        `${done.left.length === 0 ? "everybody stands under it" : `${counted(done.left.length, "other node")} will move under it, within seconds where that can be reached`}: see skein root status, then skein root finish`
      ].join("\n")
    )
    yield* tellSeen(done.seen === null ? [] : [done.seen], choice.wait)
  })
).pipe(Command.withDescription("Add a root that is to replace the one there is"))

const force = Options.boolean("force").pipe(
  Options.withDescription(
    "Also when nodes that are there still stand under an older root: they are cut off until a member has signed for them anew"
  )
)

const keep = Options.text("keep").pipe(
  Options.withPseudoName("root"),
  Options.withSchema(RootId),
  Options.withDescription(
    "Which root stays where several successors of one are in force; its key has to be on this node, and nobody is waited for (default: the newest)"
  ),
  Options.optional
)

const finished = ({ dropped, root, stay }: FinishResult): string =>
  [
    `${root} is the only root of the mesh now`,
    ...(stay.length === 0 ? [] : [`when they come, these are signed for anew: ${stay.join(", ")}`]),
    ...(dropped.length === 0
      ? []
      : [`set under a withdrawn rival, to be looked at and applied again: ${dropped.join(", ")}`])
  ].join("\n")

export const finish = Command.make("finish", { ...changeOptions, force, keep }, (choice) =>
  Effect.gen(function* () {
    const control = yield* chosenControl(choice)
    const waitMs = waitOf(choice)
    const payload = {
      ...{ waitMs, author: author(), force: choice.force, ...whyOf(choice.why) },
      ...(Option.isSome(choice.keep) ? { keep: choice.keep.value } : {})
    }
    const done = yield* withAdmin(
      control,
      (client) => client.actions.finishRoot({ payload }),
      waitMs + 30_000
    )
    for (const root of done.withdrawn) yield* print(`${root} withdrawn\n`)
    yield* Console.error(finished(done))
    yield* tellSeen(done.seen === null ? [] : [done.seen], choice.wait)
  })
).pipe(
  Command.withDescription("Withdraw all roots but the newest, or but the one that --keep names")
)

/** Sets the stage: three hosts, of which two run checkouts, and one of these is lost in the middle of one. */
import { join } from "node:path"
import { Effect, Fiber } from "effect"
import { type Child, runChild, startChild } from "../stage/Child.ts"
import type { Example } from "../stage/Example.ts"
import {
  initMesh,
  invite,
  planNodes,
  startNode,
  temporaryDirectory,
  usable,
  writeConfig
} from "../stage/Nodes.ts"
import { eventually, StepFailed } from "../stage/StepFailed.ts"

const script = (name: string): string => join(import.meta.dirname, `${name}.ts`)

/** Milliseconds until the first charge is answered: the host that waits for it is lost meanwhile. */
const slow = 10_000

/** A line that a program says; fails when it has ended without. */
const says = (child: Child, line: string) =>
  eventually(
    `${child.name} says: ${line}`,
    30,
    Effect.gen(function* () {
      const ended = child.ended()
      if (ended !== undefined) yield* new StepFailed({ message: `${ended} ${child.output()}` })
      return child.output().split("\n").includes(line) ? true : undefined
    })
  )

export const example: Example = {
  shows: "@effect/workflow on the mesh: a checkout goes on when the host that it is on is lost",
  run: ({ narrator: { say, step } }) =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = join(directory, "checkouts.sqlite")
      const [a, b, c] = yield* planNodes(directory, ["host-a", "host-b", "host-c"])
      if (a === undefined || b === undefined || c === undefined) {
        return yield* new StepFailed({ message: "no three nodes were planned" })
      }
      const placeOf = (node: typeof a): string => `unix:${join(node.directory, "programs.sock")}`
      const nodes = yield* step(
        "a mesh of three nodes is up",
        Effect.gen(function* () {
          for (const node of [a, b, c])
            yield* writeConfig(node, { programs: { listen: placeOf(node) } })
          yield* initMesh(a)
          const first = yield* startNode(a)
          const others = yield* Effect.forEach([b, c], (node) =>
            Effect.flatMap(invite(a, "--services", "checkout"), (token) => startNode(node, token))
          )
          return [first, ...others]
        }),
        (all) => all.map(({ name }) => name).join(", ")
      )
      yield* say(
        "departments.ts are inventory, payment and shipping, on host-a. host.ts runs checkouts, on host-b and host-c:",
        "workflows of @effect/workflow (checkout.ts) on entities of @effect/cluster, which find each other by the mesh."
      )
      const departments = yield* startChild({
        name: "departments.ts",
        script: script("departments"),
        args: [placeOf(a), "--slow", String(slow)]
      })
      yield* says(departments, "departments are open")
      const runners = yield* step(
        "checkouts are run on two hosts",
        Effect.gen(function* () {
          const all = yield* Effect.forEach([b, c], (node) =>
            startChild({
              name: `host.ts on ${node.name}`,
              script: script("host"),
              args: [placeOf(node), file, node.name]
            })
          )
          yield* Effect.forEach([b, c], ({ name }, i) => says(all[i]!, `${name} runs checkouts`))
          yield* eventually(
            "host-a knows both",
            20,
            Effect.map(usable(a, "checkout"), (count) => (count === 2 ? true : undefined))
          )
          return all
        }),
        () => "host-b, host-c"
      )
      const order = (id: string, item: string) =>
        Effect.map(
          runChild({
            name: "order.ts",
            script: script("order"),
            args: [placeOf(a), file, id, item]
          }),
          ({ stdout }) => stdout
        )
      /** What the departments have done for an order, as they said it. */
      const booked = (id: string): ReadonlyArray<string> =>
        departments
          .output()
          .split("\n")
          .filter((line) => line.startsWith(`${id}: `))
          .map((line) => line.slice(id.length + 2))
      /** Each of this was done, in this order, and none twice. What was asked for again stands there as well. */
      const expectDone = (id: string, ...expected: ReadonlyArray<string>) =>
        Effect.suspend(() => {
          const found = booked(id)
          const done = found.flatMap((line) => /^(.+) for host-.$/.exec(line)?.[1] ?? [])
          return done.join() === expected.join()
            ? Effect.succeed(found)
            : new StepFailed({
                message: `expected of ${id}: ${expected.join(", ")}; found: ${found.join(", ")}`
              })
        })

      const ordered = yield* Effect.fork(order("order-1", "tea"))
      const lost = yield* step(
        "an order is being checked out: its money is taken, and the answer is on its way",
        eventually(
          "order-1 is charged",
          30,
          Effect.sync(() =>
            ["host-b", "host-c"].find((host) =>
              booked("order-1").includes(`20 charged for ${host}`)
            )
          )
        ),
        (host) => `checked out on ${host}`
      )
      const left = lost === "host-b" ? "host-c" : "host-b"
      yield* step(
        `${lost} is lost, its node and its program, by SIGKILL`,
        Effect.forEach(
          [...nodes, ...runners].filter(({ name }) => name.endsWith(lost)),
          ({ kill }) => kill,
          { concurrency: "unbounded" }
        ),
        (all) => `${all.length} processes`
      )
      yield* step(
        `the checkout goes on at ${left}, where it was, and the order is confirmed`,
        Effect.filterOrElse(
          Fiber.join(ordered),
          (said) => said === `parcel of order-1 is on its way, 20 paid; ended on ${left}`,
          (said) => new StepFailed({ message: `order.ts said: ${said}` })
        ),
        (said) => said
      )
      yield* step(
        "everything was done once, though the charge was asked for twice",
        Effect.filterOrElse(
          expectDone("order-1", "tea reserved", "20 charged", "tea shipped"),
          (lines) => lines.includes(`20 charged before, as ${left} is told`),
          (lines) => new StepFailed({ message: `nobody has asked again: ${lines.join("; ")}` })
        ),
        (lines) => lines.join("; ")
      )
      yield* step(
        "an order that cannot be shipped gives the money and the goods back",
        Effect.filterOrElse(
          order("order-2", "piano"),
          (said) => said === "order-2 has failed: piano is too large to be shipped",
          (said) => new StepFailed({ message: `order.ts said: ${said}` })
        ),
        () => ""
      )
      yield* step(
        "and that was done once, too",
        expectDone("order-2", "piano reserved", "20 charged", "20 refunded", "piano put back"),
        (lines) => lines.join("; ")
      )
      return [
        `  npx node examples/workflow/order.ts ${placeOf(a)} ${file} order-3 tea`,
        `  npx skein endpoints checkout --admin ${a.admin}`
      ]
    })
}

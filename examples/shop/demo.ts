/**
 * The shop on a mesh of three nodes, on this machine: what works, and what happens when things
 * break. Told as a story until Ctrl-C, or once as a checklist that fails with the first step that
 * does not come out as it should.
 */
import { Console, Effect, Either, type Scope } from "effect"
import { makeNarrator, type Narrator } from "../stage/Narrator.ts"
import { StepFailed } from "../stage/StepFailed.ts"
import { killedNode, showTrace, sickPayment } from "./demo/Acts.ts"
import { onlyOrderPays } from "./demo/Rules.ts"
import { openShop, type Shop, whatIsWhere } from "./demo/Shop.ts"

export { StepFailed }

/** What the programs last said; for a failed run, before their files are gone. */
const lastWords = ({ nodes }: Shop): Effect.Effect<void> =>
  Effect.forEach(
    Object.values(nodes),
    (node) =>
      Console.error(`\n── ${node.name}\n${node.output().split("\n").slice(-30).join("\n")}`),
    { discard: true }
  )

const everySecond = ({ customer }: Shop): Effect.Effect<never> =>
  Effect.gen(function* () {
    const result = yield* Effect.either(customer.order())
    const { confirmed, failed } = customer.tally
    const text = Either.match(result, {
      onLeft: ({ message }) => `failed: ${message}`,
      onRight: ({ tookMs, inventory, payment, shipping }) =>
        `confirmed in ${tookMs.toFixed(0)} ms (${inventory}, ${payment}, ${shipping})`
    })
    yield* Console.log(`  order ${text} · ${confirmed} confirmed, ${failed} failed`)
    yield* Effect.sleep("1 second")
  }).pipe(Effect.forever)

const acts = (shop: Shop, narrator: Narrator): Effect.Effect<void, StepFailed, Scope.Scope> =>
  Effect.gen(function* () {
    yield* narrator.say("What is where:", ...whatIsWhere(shop), "")
    yield* narrator.step(
      "an order placed through the mesh is confirmed",
      shop.customer.order(),
      (order) => `${order.inventory}, ${order.payment}, ${order.shipping}`
    )
    yield* showTrace(shop, narrator)
    const shoppers = Effect.all(
      [1, 2, 3].map(() => shop.customer.shopping(20)),
      { concurrency: "unbounded" }
    )
    yield* Effect.raceFirst(
      shoppers,
      onlyOrderPays(shop, narrator).pipe(
        Effect.zipRight(sickPayment(shop, narrator)),
        Effect.zipRight(killedNode(shop, narrator))
      )
    )
  })

/**
 * Runs the demo. `once`: as a checklist, ending after the last step; otherwise it goes on ordering
 * once a second until interrupted. Whatever way it ends, no process and no file is left behind.
 */
export const runDemo = ({ once }: { readonly once: boolean }): Effect.Effect<void, StepFailed> => {
  const narrator = makeNarrator(once)
  return Effect.gen(function* () {
    const shop = yield* openShop(narrator)
    yield* acts(shop, narrator).pipe(Effect.tapError(() => lastWords(shop)))
    if (once) return
    yield* narrator.say(
      "That was it. The mesh stays up and somebody orders every second; try things yourself:",
      ...whatIsWhere(shop),
      "  (Ctrl-C ends it all)",
      ""
    )
    shop.customer.startCount()
    yield* everySecond(shop)
  }).pipe(Effect.scoped)
}

/** What is shown: a trace, a sick instance, a dead node. Each is a step that may fail. */
import { Console, Effect, Schema } from "effect"
import type { Narrator } from "../../stage/Narrator.ts"
import { startNode, stateOf } from "../../stage/Nodes.ts"
import { eventually, StepFailed } from "../../stage/StepFailed.ts"
import { traceTree } from "../../stage/TraceCollector.ts"
import type { Customer, Tally } from "./Customer.ts"
import { serviceNames } from "./Hosts.ts"
import { allAlive, type Shop } from "./Shop.ts"

export const showTrace = ({ collector, customer }: Shop, { step, say }: Narrator) =>
  Effect.gen(function* () {
    yield* say("One order, followed through the mesh:")
    const spans = yield* step(
      "the trace of one order shows four services and both hops of each call",
      Effect.gen(function* () {
        const { trace } = yield* customer.tracedOrder
        return yield* eventually(
          "spans of all four services, from the caller's and the callee's node",
          15,
          Effect.sync(() => {
            const spans = collector.trace(trace)
            const has = (service: string, side: "caller" | "callee"): boolean =>
              spans.some((span) => span.service === service && span.side === side)
            const whole = serviceNames.every((name) => has(name, "caller") && has(name, "callee"))
            return whole ? spans : undefined
          })
        )
      }),
      (all) => `${all.length} spans`
    )
    yield* Console.log(
      traceTree(spans)
        .map((line) => `    ${line}`)
        .join("\n")
    )
  })

const Chaos = Schema.Struct({ failed: Schema.Number })

/** payment-2's chaos switch, asked directly and not through the mesh. */
const chaosOf = (shop: Shop, init?: RequestInit) =>
  Effect.tryPromise({
    try: async () => {
      const response = await fetch(`http://${shop.addresses.get("payment-2")}/chaos`, init)
      if (!response.ok) throw new Error(`answered ${response.status}`)
      return response.json()
    },
    catch: (cause) => new StepFailed({ message: `payment-2's chaos switch: ${cause}` })
  })

const setChaos = (shop: Shop, latencyMs: number, failRate: number) =>
  chaosOf(shop, { method: "POST", body: JSON.stringify({ latencyMs, failRate }) })

/** How many calls payment-2 has failed on purpose. */
const failedCalls = (shop: Shop) =>
  chaosOf(shop).pipe(
    Effect.flatMap(Schema.decodeUnknown(Chaos)),
    Effect.map(({ failed }) => failed),
    Effect.mapError((cause) => new StepFailed({ message: cause.message }))
  )

const served = (tally: Tally, ...instances: ReadonlyArray<string>): string =>
  instances.map((instance) => `${instance} ${tally.by.get(instance) ?? 0}`).join(", ")

/** The tally; fails when an order has failed since the count began. */
export const noneFailed = (customer: Customer): Effect.Effect<Tally, StepFailed> =>
  Effect.suspend(() => {
    const { tally } = customer
    if (tally.failed === 0) return Effect.succeed(tally)
    return new StepFailed({
      message: `${tally.failed} of ${tally.confirmed + tally.failed} orders failed; the first: ${tally.firstFailure}`
    })
  })

/** Orders that all must succeed before a step counts as done. */
const enough = 60

export const ordersGoOn = (customer: Customer) =>
  Effect.suspend(() => {
    const from = customer.tally.confirmed
    return eventually(
      `${enough} more orders`,
      15,
      Effect.sync(() => (customer.tally.confirmed >= from + enough ? true : undefined))
    )
  })

export const sickPayment = (shop: Shop, { step, say }: Narrator) =>
  Effect.gen(function* () {
    const { customer } = shop
    yield* say(
      "payment-2 turns slow and fails every call, though its health check says it is fine.",
      "host-a notices by itself, retries what failed (a payment is named by its order, so it may be",
      "sent twice) and sends the traffic to payment-1:"
    )
    customer.startCount()
    yield* step(
      "orders are paid at both instances",
      eventually(
        "an order paid at each payment instance",
        15,
        Effect.sync(() => {
          const { by } = customer.tally
          return by.has("payment-1") && by.has("payment-2") ? true : undefined
        })
      ).pipe(Effect.zipRight(ordersGoOn(customer))),
      () => served(customer.tally, "payment-1", "payment-2")
    )
    yield* setChaos(shop, 300, 1)
    customer.startCount()
    const moved = Effect.gen(function* () {
      yield* eventually(
        "a call that payment-2 failed",
        15,
        Effect.map(failedCalls(shop), (count) => (count > 0 ? true : undefined))
      )
      yield* ordersGoOn(customer)
      yield* eventually(
        "20 orders in a row paid quickly at payment-1",
        15,
        Effect.sync(() => {
          const last = customer.latest.slice(-20)
          const quick = last.every((order) => order.payment === "payment-1" && order.tookMs < 250)
          return quick ? true : undefined
        })
      )
      return { tally: yield* noneFailed(customer), failed: yield* failedCalls(shop) }
    })
    yield* step(
      "payment-2 is slow and failing: its traffic moves to payment-1, no order fails",
      moved,
      ({ tally, failed }) =>
        `payment-2 failed ${failed} ${failed === 1 ? "call" : "calls"}; ${tally.confirmed} orders, 0 failed; ${served(tally, "payment-1", "payment-2")}`
    )
    yield* setChaos(shop, 0, 0)
  })

export const killedNode = (shop: Shop, { step, say }: Narrator) =>
  Effect.gen(function* () {
    const { customer, layout, nodes } = shop
    yield* say("Now host-c's node is killed with SIGKILL, in the middle of all that:")
    customer.startCount()
    yield* step(
      "host-c killed: orders go on, no order fails",
      nodes["host-c"].kill.pipe(
        Effect.zipRight(ordersGoOn(customer)),
        Effect.zipRight(noneFailed(customer))
      ),
      (tally) =>
        `${tally.confirmed} orders, 0 failed; ${served(tally, "inventory-1", "inventory-2")}`
    )
    yield* step(
      "the others see that host-c is gone",
      eventually(
        "host-c not alive at host-a",
        30,
        Effect.map(stateOf(layout.hosts["host-a"], "host-c"), (state) =>
          state === "alive" ? undefined : (state ?? "unknown")
        )
      ),
      (state) => `host-a calls it ${state}`
    )
    yield* say("And it comes back, without a token: it knows its mesh from its data directory.")
    customer.startCount()
    nodes["host-c"] = yield* step(
      "host-c starts again and rejoins",
      startNode(layout.hosts["host-c"]).pipe(
        Effect.tap(() => eventually("3 members alive everywhere", 20, allAlive(layout)))
      ),
      () => ""
    )
    yield* step(
      "host-c takes traffic again, no order failed meanwhile",
      eventually(
        "an order with inventory-2 and shipping-2",
        20,
        Effect.sync(() => {
          const { by } = customer.tally
          return by.has("inventory-2") && by.has("shipping-2") ? true : undefined
        })
      ).pipe(Effect.zipRight(noneFailed(customer))),
      (tally) =>
        `${tally.confirmed} orders, 0 failed; ${served(tally, "inventory-1", "inventory-2")}`
    )
  })

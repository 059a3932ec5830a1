/** Somebody who orders without end, and counts what came of it. */
import { Agent, request } from "node:http"
import { Effect, Either, Random, Schema } from "effect"
import { StepFailed } from "../../stage/StepFailed.ts"

const By = Schema.Struct({ by: Schema.String })

const Confirmed = Schema.parseJson(
  Schema.Struct({
    order: Schema.String,
    status: Schema.Literal("confirmed"),
    inventory: By,
    payment: By,
    shipping: By
  })
)
const decodeConfirmed = Schema.decodeUnknownEither(Confirmed)

export interface Order {
  readonly id: string
  readonly inventory: string
  readonly payment: string
  readonly shipping: string
  readonly tookMs: number
}

/** One order takes at most this long, ms. */
const patience = 10_000

const hex = (digits: number): Effect.Effect<string> =>
  Effect.map(
    Effect.all(Array.from({ length: digits }, () => Random.nextIntBetween(0, 16))),
    (all) => all.map((digit) => digit.toString(16)).join("")
  )

/** What came of the orders since the count began. */
export interface Tally {
  readonly confirmed: number
  readonly failed: number
  /** Why the first of them failed. */
  readonly firstFailure: string | undefined
  /** How often each instance served. */
  readonly by: ReadonlyMap<string, number>
}

export class Customer {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 })
  readonly #proxy: URL
  /** The latest orders, oldest first. */
  readonly latest: Array<Order> = []
  #confirmed = 0
  #failed = 0
  #firstFailure: string | undefined = undefined
  #by = new Map<string, number>()

  /** `proxy`: host:port of the HTTP proxy to order through. */
  constructor(proxy: string) {
    this.#proxy = new URL(`http://${proxy}`)
  }

  close(): void {
    this.#agent.destroy()
  }

  get tally(): Tally {
    return {
      confirmed: this.#confirmed,
      failed: this.#failed,
      firstFailure: this.#firstFailure,
      by: new Map(this.#by)
    }
  }

  /** Counts from zero again. */
  startCount(): void {
    this.#confirmed = 0
    this.#failed = 0
    this.#firstFailure = undefined
    this.#by = new Map()
  }

  /** Places one order and counts it; a traced one is asked to be recorded under this id. */
  order(traceId?: string): Effect.Effect<Order, StepFailed> {
    return hex(16).pipe(
      Effect.map((span) => (traceId === undefined ? undefined : `00-${traceId}-${span}-01`)),
      Effect.flatMap((traceparent) => this.#send(traceparent)),
      Effect.tap((order) => Effect.sync(() => this.#count(order))),
      Effect.tapError((failed) =>
        Effect.sync(() => {
          this.#failed++
          this.#firstFailure ??= failed.message
        })
      )
    )
  }

  /** An order that is traced, with the id of its trace. */
  get tracedOrder(): Effect.Effect<{ readonly order: Order; readonly trace: string }, StepFailed> {
    return Effect.gen(this, function* () {
      const trace = yield* hex(32)
      return { order: yield* this.order(trace), trace }
    })
  }

  /** Orders for ever, with a pause after each; what fails is in the tally. */
  shopping(pauseMs: number): Effect.Effect<never> {
    return this.order().pipe(Effect.ignore, Effect.zipRight(Effect.sleep(pauseMs)), Effect.forever)
  }

  #count(order: Order): void {
    this.#confirmed++
    this.latest.push(order)
    if (this.latest.length > 100) this.latest.shift()
    for (const instance of [order.inventory, order.payment, order.shipping]) {
      this.#by.set(instance, (this.#by.get(instance) ?? 0) + 1)
    }
  }

  #send(traceparent: string | undefined): Effect.Effect<Order, StepFailed> {
    return Effect.async<Order, StepFailed>((resume) => {
      const begun = performance.now()
      const fail = (why: string): void => resume(new StepFailed({ message: `an order: ${why}` }))
      const sent = request(
        {
          method: "POST",
          hostname: this.#proxy.hostname,
          port: this.#proxy.port,
          path: "http://order.mesh/orders",
          agent: this.#agent,
          timeout: patience,
          headers: {
            host: "order.mesh",
            "content-type": "application/json",
            ...(traceparent === undefined ? {} : { traceparent })
          }
        },
        (response) => {
          let text = ""
          response.setEncoding("utf8")
          response.on("data", (chunk: string) => {
            text += chunk
          })
          response.on("error", (cause) => fail(cause.message))
          response.on("end", () => {
            const order = decodeConfirmed(text)
            if (response.statusCode !== 201 || Either.isLeft(order)) {
              fail(`${response.statusCode} ${text.trim().slice(0, 300)}`)
              return
            }
            const { order: id, inventory, payment, shipping } = order.right
            resume(
              Effect.succeed({
                id,
                inventory: inventory.by,
                payment: payment.by,
                shipping: shipping.by,
                tookMs: performance.now() - begun
              })
            )
          })
        }
      )
      sent.on("timeout", () => sent.destroy(new Error(`no answer within ${patience} ms`)))
      sent.on("error", (cause) => fail(cause.message))
      sent.end(JSON.stringify({ item: "tea" }))
      return Effect.sync(() => sent.destroy())
    })
  }
}

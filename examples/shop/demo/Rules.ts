/** Who may call what: said once, for the whole mesh, and shown at who may not. */
import { request } from "node:http"
import { Effect, Schema } from "effect"
import type { Narrator } from "../../stage/Narrator.ts"
import { applySettings, counted } from "../../stage/Nodes.ts"
import { StepFailed } from "../../stage/StepFailed.ts"
import { noneFailed, ordersGoOn } from "./Acts.ts"
import type { Shop } from "./Shop.ts"

/** As `payment.access.yaml` would say it. */
const rule = {
  kind: "access",
  name: "payments",
  service: "payment",
  allow: [{ from: "order", methods: ["PUT"], path: "/payments/{order}" }]
}

const Refusal = Schema.parseJson(
  Schema.Struct({ code: Schema.String, message: Schema.String, node: Schema.String })
)

/** A payment sent through this proxy by hand, which must be refused; by whom, and in which words. */
const refusedPayment = (proxy: string) =>
  Effect.tryPromise({
    try: (signal) =>
      new Promise<string>((resolve, reject) => {
        const { hostname, port } = new URL(`http://${proxy}`)
        const sent = request(
          {
            ...{ method: "PUT", hostname, port, path: "http://payment.mesh/payments/by-hand" },
            ...{ headers: { host: "payment.mesh", "content-type": "application/json" }, signal }
          },
          (response) => {
            let text = ""
            response.setEncoding("utf8")
            response.on("data", (chunk: string) => {
              text += chunk
            })
            response.on("error", reject)
            response.on("end", () => {
              if (response.statusCode === 403) resolve(text)
              else reject(new Error(`answered ${response.statusCode}: ${text}`))
            })
          }
        )
        sent.on("error", reject)
        sent.end(JSON.stringify({ item: "nothing" }))
      }),
    catch: (cause) => new StepFailed({ message: `a payment by hand: ${cause}` })
  }).pipe(
    Effect.flatMap(Schema.decodeUnknown(Refusal)),
    Effect.mapError(({ message }) => new StepFailed({ message }))
  )

export const onlyOrderPays = ({ customer, layout }: Shop, { step, say }: Narrator) =>
  Effect.gen(function* () {
    const { "host-a": a, "host-b": b, "host-c": c } = layout.hosts
    yield* say(
      "Who may take money? A rule for the whole mesh, set at host-a, whose certificate grants that:",
      "  allow: [{ from: order, methods: [PUT], path: /payments/{order} }]",
      "The order service has a proxy of its own on host-a, so its node can vouch for it."
    )
    customer.startCount()
    yield* step(
      "from now on only order may send payments, in the whole mesh",
      applySettings(a, rule),
      (seen) => seen
    )
    yield* step(
      "a payment from another program is refused before it reaches payment",
      refusedPayment(a.proxy),
      ({ code, message, node }) => `403 ${code} from ${node}: ${message}`
    )
    yield* step(
      "the refusal is counted where it was made, and orders are still paid",
      Effect.gen(function* () {
        yield* ordersGoOn(customer)
        const refused = yield* Effect.all(
          [b, c].map((host) => counted(host, "skein_access_decisions_total", 'decision="deny"'))
        )
        if (refused.every((count) => count === 0)) {
          return yield* new StepFailed({ message: "neither host-b nor host-c counts a refusal" })
        }
        return yield* noneFailed(customer)
      }),
      (tally) => `${tally.confirmed} orders, 0 failed`
    )
  })

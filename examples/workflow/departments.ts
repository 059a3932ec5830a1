/**
 * Inventory, payment and shipping, which know nothing of workflows: they do what they are asked once for each key.
 *
 *     npx node examples/workflow/departments.ts unix:/run/skein/programs.sock
 *
 * The first charge is made at once, and answered after `--slow` ms: time for something to happen to who waits for it.
 */
import { RpcServer } from "@effect/rpc"
import { Console, Effect, Layer } from "effect"
import { Skein } from "skein"
import { MeshRpc } from "skein/rpc"
import { type Asked, Shop, SoldOut, TooLarge } from "./shop.ts"

const [to] = process.argv.slice(2)
let slow = Number(process.argv[process.argv.indexOf("--slow") + 1] ?? 0) || 0

/** Keys of what was done. */
const done = new Set<string>()

/** Whether it was done just now, and not before. */
const once = ({ by, key, order }: Asked, what: string) =>
  Effect.suspend(() => {
    const isNew = !done.has(key)
    done.add(key)
    const line = isNew ? `${what} for ${by}` : `${what} before, as ${by} is told`
    return Effect.as(Console.log(`${order}: ${line}`), isNew)
  })

const Departments = Shop.toLayer({
  Reserve: (asked) =>
    asked.item === "unobtainium"
      ? new SoldOut({ item: asked.item })
      : once(asked, `${asked.item} reserved`),
  PutBack: (asked) => once(asked, `${asked.item} put back`),
  Charge: (asked) =>
    Effect.gen(function* () {
      if (yield* once(asked, "20 charged")) {
        const pause = slow
        slow = 0
        yield* Effect.sleep(pause)
      }
      return 20
    }),
  Refund: (asked) => once(asked, "20 refunded"),
  Ship: (asked) =>
    asked.item === "piano"
      ? new TooLarge({ item: asked.item })
      : Effect.as(once(asked, `${asked.item} shipped`), `parcel of ${asked.order}`)
})

const fiber = Effect.runFork(
  Layer.launch(
    Layer.scopedDiscard(Console.log("departments are open")).pipe(
      Layer.provide(RpcServer.layer(Shop)),
      Layer.provide(Departments),
      Layer.provide(MeshRpc.layerServer("shop")),
      Layer.provide(Skein.attach({ to, name: "departments" }))
    )
  ).pipe(
    Effect.catchAll(({ message }) => {
      process.exitCode = 1
      return Console.error(message)
    })
  )
)
process.once("SIGTERM", () => fiber.unsafeInterruptAsFork(fiber.id()))

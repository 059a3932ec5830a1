import * as Headers from "@effect/platform/Headers"
import { Rpc } from "@effect/rpc"
import { expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { encodeMessage, rpcType } from "../api/RpcBody.ts"
import { noBody, type ResponseReceiver } from "../model/Exchange.ts"
import { PeerKey, ServiceName } from "../model/Names.ts"
import { addressOf } from "./ActorAddress.ts"
import { circleField, formatCircle } from "./CallChain.ts"
import { sendRemote } from "./RemoteMessage.ts"

const Numbers = Rpc.make("Numbers", { success: Schema.Int, stream: true })

/** A stream that one host asks another for; `isIdempotent`: it may be asked for again. */
const asked = (isIdempotent = false) => {
  const heard: Array<string> = []
  let receiver: ResponseReceiver | undefined
  const cancel = sendRemote(
    {
      caller: {
        dispatch: (_, to) => {
          receiver = to
          return {
            write: () => true,
            end: () => undefined,
            cancel: () => void heard.push("its host is told"),
            resume: () => undefined
          }
        },
        peer: PeerKey.make("a".repeat(24))
      },
      service: ServiceName.make("actor-counter"),
      owner: "b",
      address: addressOf("Counter", "x"),
      left: undefined,
      message: {
        ...{ rpc: Numbers, payload: undefined, headers: Headers.empty, isIdempotent },
        ...{ caller: undefined, parent: undefined, key: undefined, deadline: undefined },
        tells: false,
        replies: {
          part: (values) => Effect.sync(() => void heard.push(`part ${values.join(" ")}`)),
          exit: () => void heard.push("exit"),
          fail: () => void heard.push("fail")
        }
      },
      run: (effect, then) => {
        const fiber = Effect.runFork(effect)
        fiber.addObserver(then)
        return () => fiber.unsafeInterruptAsFork(fiber.id())
      }
    },
    {
      ended: (exit) =>
        void heard.push(
          exit._tag === "Success" && exit.value?._tag === "ActorUnavailable"
            ? `over: ${exit.value.code}, ${exit.value.message}`
            : "over"
        ),
      inCircle: (circle) => void heard.push(`in ${circle}`)
    }
  )
  const come = (...messages: ReadonlyArray<Parameters<typeof encodeMessage>[0]>) =>
    receiver?.onData(Buffer.concat(messages.map((message) => encodeMessage(message))))
  const [status, reason, fields] = [200, "OK", ["content-type", rpcType]]
  receiver?.onHead({ status, reason, fields, framing: noBody, upgrade: undefined })
  const hear = (...said: ReadonlyArray<string>) =>
    receiver?.onInfo({ status: 102, reason, fields: said, framing: noBody, upgrade: undefined })
  return { cancel, come, end: () => receiver?.onEnd([]), hear, heard }
}

const part = { _tag: "Chunk", requestId: "0", values: [1, 2] } as const
const exit = { _tag: "Exit", requestId: "0", exit: { _tag: "Success", value: undefined } } as const

it("answers with all that has come, and is over then", () => {
  const { cancel, come, end, heard } = asked()
  come(part)
  come(exit)
  expect(heard).toEqual(["part 1 2"])
  end()
  cancel()
  expect(heard).toEqual(["part 1 2", "exit", "over"])
})

it("answers nothing any more once it is given up, though its end has come", () => {
  const { cancel, come, heard } = asked()
  come(part, exit)
  cancel()
  expect(heard).toEqual(["part 1 2", "its host is told"])
})

it("hears that it waits in a circle of actors, in words that can be read, and nothing once it is given up", () => {
  const { cancel, hear, heard } = asked()
  const circle = "Cart/ü → Stock/b → Cart/ü"
  hear("server-timing", "x", circleField, formatCircle(circle))
  hear(circleField, "%")
  hear(circleField, formatCircle("x".repeat(5_000)))
  cancel()
  hear(circleField, formatCircle(circle))
  expect(heard).toEqual([`in ${circle}`, `in ${"x".repeat(1_024)}…`, "its host is told"])
})

it("is not asked again for an answer that its Schema does not take, which would be the same", () => {
  const { come, heard } = asked(true)
  come({ _tag: "Chunk", requestId: "0", values: [1, "two"] })
  expect(heard).toEqual([
    "its host is told",
    expect.stringMatching(
      /^over: answer_unreadable, Counter\/x has answered Numbers .*Expected number, actual "two"/s
    )
  ])
})

import { Cause, Effect, Exit, Option } from "effect"
import { afterEach, describe, expect, it } from "vitest"
import { payments } from "../../testing/InboundFixture.ts"
import { HoldingCallee, makeContext } from "../../testing/ListenerFixture.ts"
import { makeHttpListener } from "./HttpListener.ts"
import { ListenError, makeListenError } from "./ListenError.ts"
import { makeTcpListener } from "./TcpListener.ts"

const context = makeContext()
afterEach(() => context.dispose())
const { dispatch } = new HoldingCallee()

const failureOf = async <A>(effect: Effect.Effect<A, ListenError>): Promise<ListenError> => {
  const exit = await Effect.runPromiseExit(effect)
  if (Exit.isSuccess(exit)) throw new Error("it listens")
  return Option.getOrThrow(Cause.failureOption(exit.cause))
}

describe("ListenError", () => {
  it("names a port in use, and what to do", async () => {
    const first = await context.open(makeHttpListener({ ...context.base, dispatch }))
    const { port } = first.address
    const error = await failureOf(
      Effect.scoped(makeTcpListener({ ...context.base, port, service: payments, dispatch }))
    )
    expect(error).toBeInstanceOf(ListenError)
    expect(error.code).toBe("address_in_use")
    expect(error.message).toBe(
      `cannot listen on 127.0.0.1:${port} (EADDRINUSE): the port is in use by another program, perhaps another node; stop it or choose another port`
    )
  })

  it("names an address that is not local", async () => {
    const error = await failureOf(
      Effect.scoped(makeHttpListener({ ...context.base, host: "192.0.2.1", dispatch }))
    )
    expect(error).toMatchObject({ code: "address_not_local", address: "192.0.2.1:0" })
  })

  it("frees the port with its scope", async () => {
    const port = await Effect.runPromise(
      Effect.scoped(
        Effect.map(makeHttpListener({ ...context.base, dispatch }), ({ address }) => address.port)
      )
    )
    const again = makeHttpListener({ ...context.base, port, dispatch })
    expect((await Effect.runPromise(Effect.scoped(again))).address.port).toBe(port)
  })

  it.each([
    ["EACCES", "permission_denied"],
    ["ENOTFOUND", "unknown_host"],
    ["EWHAT", "other"]
  ])("gives %s the code %s", (system, code) => {
    const cause = Object.assign(new Error("text"), { code: system })
    const error = makeListenError("::1", 80, cause)
    expect(error).toMatchObject({ code, address: "[::1]:80", cause })
    expect(error.message).toContain(`cannot listen on [::1]:80 (${system})`)
  })
})

import { afterEach, describe, expect, it } from "vitest"
import { payments } from "../../testing/InboundFixture.ts"
import { HoldingCallee, makeContext } from "../../testing/ListenerFixture.ts"
import { openHttpListener } from "./HttpListener.ts"
import { ListenError, makeListenError } from "./ListenError.ts"
import { openTcpListener } from "./TcpListener.ts"

const context = makeContext()
afterEach(() => context.dispose())
const { dispatch } = new HoldingCallee()

const failureOf = async (opening: Promise<unknown>): Promise<ListenError> => {
  const error: unknown = await opening.then(
    () => new Error("it listens"),
    (error: unknown) => error
  )
  if (error instanceof ListenError) return error
  throw error
}

describe("ListenError", () => {
  it("names a port in use, and what to do", async () => {
    const first = await context.open(openHttpListener({ ...context.base, dispatch }))
    const { port } = first.address
    const error = await failureOf(
      openTcpListener({ ...context.base, port, service: payments, dispatch })
    )
    expect(error).toBeInstanceOf(ListenError)
    expect(error).toMatchObject({ _tag: "ListenError", name: "ListenError" })
    expect(error.cause).toMatchObject({ code: "EADDRINUSE" })
    expect(error.code).toBe("address_in_use")
    expect(error.message).toBe(
      `cannot listen on 127.0.0.1:${port} (EADDRINUSE): the port is in use by another program, perhaps another node; stop it or choose another port`
    )
  })

  it("names an address that is not local", async () => {
    const error = await failureOf(
      openHttpListener({ ...context.base, host: "192.0.2.1", dispatch })
    )
    expect(error).toMatchObject({ code: "address_not_local", address: "192.0.2.1:0" })
  })

  it("is no more when the listener that had the port is closed", async () => {
    const first = await openHttpListener({ ...context.base, dispatch })
    const { port } = first.address
    first.close()
    const second = await context.open(openHttpListener({ ...context.base, port, dispatch }))
    expect(second.address.port).toBe(port)
  })

  it("is none when both say that they share the port", async () => {
    const options = { ...context.base, dispatch, reusePort: true }
    const { port } = (await context.open(openHttpListener(options))).address
    const second = await context.open(openTcpListener({ ...options, port, service: payments }))
    expect(second.address.port).toBe(port)
    const third = openHttpListener({ ...context.base, dispatch, port })
    expect(await failureOf(third)).toMatchObject({ code: "address_in_use" })
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

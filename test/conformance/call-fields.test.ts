/** Deadlines and attempts that callers bring go through both hops, to programs and back into calls. */
import http from "node:http"
import { afterEach, describe, expect, it } from "vitest"
import type { PolicyInput } from "../../src/schema/PolicySchema.ts"
import { rawProgram } from "../../src/testing/InboundFixture.ts"
import { request, TwoHosts, turn } from "./TwoHosts.ts"

let mesh: TwoHosts
const start = async (policy: PolicyInput = {}) => {
  mesh = await new TwoHosts(policy).start()
}
afterEach(async () => {
  await mesh.stop()
})

/** What the program is told; it answers with it. */
const echo = () =>
  http.createServer((incoming, response) => {
    const {
      "skein-deadline": left,
      "skein-attempt": attempt,
      "grpc-timeout": grpc
    } = incoming.headers
    response.end(JSON.stringify({ left, attempt, grpc }))
  })

const ask = async (fields: string): Promise<{ left?: string; attempt?: string; grpc?: string }> => {
  const client = mesh.client().send(request("GET", fields))
  await client.receives(/\}$/)
  return JSON.parse(client.text.slice(client.text.indexOf("{")))
}

describe("a deadline", () => {
  it.each([
    ["none at all", {}, "", undefined],
    ["the policy's", { timeout: { request: "2s" } }, "", 2_000],
    ["the caller's", {}, "Skein-Deadline: 1500\r\n", 1_500],
    [
      "the shorter, the caller's",
      { timeout: { request: "2s" } },
      "skein-deadline: 1500\r\n",
      1_500
    ],
    [
      "the shorter, the policy's",
      { timeout: { request: "1s" } },
      "skein-deadline: 1500\r\n",
      1_000
    ],
    ["gRPC's", { timeout: { request: "2s" } }, "grpc-timeout: 700m\r\n", 700]
  ] as const)("is told to the program: %s", async (_, policy, fields, left) => {
    await start(policy)
    await mesh.offer(echo())
    const told = await ask(fields)
    expect(told.left).toBe(left?.toString())
    expect(told.grpc).toBe(fields.startsWith("grpc") ? "700m" : undefined)
  })

  it("ends the call, though no policy does", async () => {
    await start()
    await mesh.offer(rawProgram(() => undefined))
    const client = mesh.client().send(request("GET", "skein-deadline: 300\r\n"))
    while (mesh.b.inbound.inFlight === 0) await turn()
    for (const { ticker } of mesh.hosts) ticker.advance(320)
    await client.receives(/\}\n$/)
    expect(client.text).toMatch(/^HTTP\/1.1 504 [\s\S]*the caller's deadline|left of the total/)
  })

  it("that is over is answered at once, and nobody is asked", async () => {
    await start()
    const program = await mesh.offer(rawProgram(() => undefined))
    const client = mesh.client().send(request("GET", "skein-deadline: 0\r\n"))
    await client.receives(/\}\n$/)
    expect(client.text).toMatch(/^HTTP\/1.1 504 [\s\S]*skein-error: upstream_timeout/)
    expect(program.accepted()).toBe(0)
    await mesh.idle()
  })

  it("that is none is refused, with what is wrong", async () => {
    await start()
    await mesh.offer(echo())
    const client = mesh.client().send(request("GET", "skein-deadline: soon\r\n"))
    await client.end()
    expect(client.text).toMatch(
      /^HTTP\/1.1 400 [\s\S]*skein-deadline \\"soon\\" is not a whole number/
    )
  })
})

describe("an attempt", () => {
  it("is told to the program when it is a retry", async () => {
    await start({ retry: { on: ["gateway_error"], backoff: { base: "1ms", max: "1ms" } } })
    const heads: Array<string | undefined> = []
    await mesh.offer(
      http.createServer((incoming, response) => {
        heads.push(incoming.headers["skein-attempt"]?.toString())
        response.statusCode = heads.length < 3 ? 503 : 200
        response.end("answer")
      })
    )
    const client = mesh.client().send(request("GET"))
    while (!client.text.includes("answer")) {
      mesh.a.ticker.advance(10)
      await turn()
    }
    expect(heads).toEqual([undefined, "1", "2"])
  })

  it("that the caller says goes on, and adds up", async () => {
    await start()
    await mesh.offer(echo())
    expect((await ask("skein-attempt: 2\r\n")).attempt).toBe("2")
    expect((await ask("skein-attempt: 0\r\n")).attempt).toBeUndefined()
  })

  it("further up leaves no part of the floor for retries here", async () => {
    await start({
      breaker: "off",
      ejection: "off",
      retry: { budget: { ratio: 0, minPerSecond: 10 } }
    })
    let asked = 0
    await mesh.offer(
      rawProgram((socket) => {
        socket.on("data", () => {
          asked++
          socket.resetAndDestroy()
        })
      })
    )
    const fail = async (fields: string): Promise<number> => {
      asked = 0
      const client = mesh.client().send(request("GET", fields))
      while (!client.text.endsWith("}\n")) {
        mesh.a.ticker.advance(10)
        await turn()
      }
      return asked
    }
    expect(await fail("")).toBe(3)
    expect(await fail("skein-attempt: 1\r\n")).toBe(1)
  })
})

import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Logger, TestClock } from "effect"
import { embeddedConfig, untilMet } from "./Embedded.ts"

describe("a program's config", () => {
  it("asks for any port, and for no other", () => {
    const { admin, node, outbound } = embeddedConfig({})
    expect(node.listen).toEqual(["/ip4/0.0.0.0/tcp/0"])
    expect([admin, outbound.http]).toEqual(["off", "off"])
  })

  it("has what the program asks for", () => {
    const listen = ["/ip4/127.0.0.1/tcp/7001"]
    const { admin, node, outbound } = embeddedConfig({
      node: { name: "billing", listen },
      admin: "127.0.0.1:7002",
      outbound: { http: "127.0.0.1:7003" }
    })
    expect([node.name, node.listen]).toEqual(["billing", listen])
    expect(admin).toMatchObject({ listen: { port: 7002 } })
    expect(outbound.http).toMatchObject({ listen: { port: 7003 } })
  })
})

describe("a program's start", () => {
  const logged: Array<string> = []
  const log = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ message }) => {
      logged.push(String(message))
    })
  )

  it.effect("waits for the mesh, 10 s at most, and says when it went on without", () =>
    Effect.gen(function* () {
      yield* untilMet({ name: "billing", ready: Effect.void })
      expect(logged).toEqual([])
      const fiber = yield* Effect.fork(untilMet({ name: "billing", ready: Effect.never }))
      yield* TestClock.adjust("9 seconds")
      expect(yield* Fiber.poll(fiber)).toMatchObject({ _tag: "None" })
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(fiber)
      expect(logged.join()).toContain("billing has met no other node")
    }).pipe(Effect.provide(log))
  )
})

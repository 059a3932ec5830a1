/** What the compiler refuses of a config, and what a program is told of one at run time. */
import { Either, Schema } from "effect"
import { describe, expect, expectTypeOf, it } from "vitest"
import { ConfigError } from "./ConfigProblem.ts"
import { defineConfig, makeNodeConfig, NodeConfig, type NodeConfigInput } from "./NodeConfig.ts"

/** Never run: the lines are for the compiler. */
const compiled = (_: () => unknown): void => expect(_).toBeTypeOf("function")

const thrownBy = (input: unknown): ConfigError => {
  try {
    makeNodeConfig(input as NodeConfigInput) // what a program without types would pass
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error("it was taken")
}

describe("the compiler", () => {
  it("refuses unknown keys, wherever they stand", () =>
    compiled(() => [
      defineConfig({ policies: { payments: { timeout: { request: "2s" } } } }),
      // @ts-expect-error nodes
      defineConfig({ nodes: {} }),
      // @ts-expect-error retires
      defineConfig({ policies: { payments: { retires: {} } } }),
      // @ts-expect-error wieght
      defineConfig({ services: [{ name: "a", address: "127.0.0.1:1", wieght: 3 }] }),
      // @ts-expect-error verbosity
      { telemetry: { verbosity: 1 } } satisfies NodeConfigInput
    ]))

  it("refuses protocols that are not carried, and times without a unit", () =>
    compiled(() => [
      defineConfig({ services: [{ name: "a", address: "127.0.0.1:1", protocol: "grpc" }] }),
      // @ts-expect-error https
      defineConfig({ services: [{ name: "a", address: "127.0.0.1:1", protocol: "https" }] }),
      // @ts-expect-error http2, which is http
      defineConfig({ upstreams: [{ service: "a", listen: "127.0.0.1:1", protocol: "http2" }] }),
      // @ts-expect-error no unit
      defineConfig({ drain: { deadline: "30" } }),
      // @ts-expect-error no unit
      makeNodeConfig({ services: [{ name: "a", health: { tcp: { interval: 2 } } }] })
    ]))

  it("keeps a config a config", () => {
    expectTypeOf(defineConfig({})).toEqualTypeOf<NodeConfigInput>()
    expectTypeOf(makeNodeConfig({})).toEqualTypeOf<NodeConfig>()
  })
})

describe("makeNodeConfig", () => {
  it("throws every mistake, in the words a file gets", () => {
    const error = thrownBy({
      node: { nam: "x" },
      drain: { deadline: "soon" },
      upstreams: [{ service: "b", listen: "127.0.0.1:4191" }],
      policies: { Pay: {}, pay: { retry: { methods: [] } } }
    })
    expect(error).toMatchObject({ _tag: "ConfigError", code: "config_invalid" })
    expect(error.message.split("\n")).toEqual([
      "config: node.nam: unknown key nam; did you mean name?",
      "config: policies.Pay: \"Pay\" cannot be a key here: a service name is 1–63 of a–z, 0–9 and '-', not starting or ending with '-'",
      "config: policies.pay.retry.methods: names nothing, so only connect failures could be retried; for that write on: [connect_failure]",
      'config: drain.deadline: "soon" is not a duration; write a number and ms, s, m, h or d, like 500ms or 2s',
      "config: upstreams[0].listen: 127.0.0.1:4191 is taken by admin (127.0.0.1:4191); choose another port"
    ])
  })

  it.each([Number.NaN, 5n, () => 1, Symbol("x"), null])(
    "tells of %s, wherever it stands",
    (value) => {
      for (const input of [
        value,
        { node: value },
        { node: { name: value } },
        { node: { zone: value } },
        { node: { listen: [value] } },
        { admin: value },
        { services: value },
        { services: [value] },
        { services: [{ name: "a", address: value }] },
        { telemetry: { otlp: value } },
        { telemetry: { accessLog: value } },
        { drain: { deadline: value } }
      ]) {
        expect(thrownBy(input).problems.length).toBeGreaterThan(0)
      }
    }
  )

  it("tells of a value that contains itself", () => {
    const loop: Record<string, unknown> = {}
    loop["loop"] = loop
    expect(thrownBy({ admin: loop }).message).toContain("config: admin")
    expect(thrownBy({ node: { name: loop } }).message).toContain("config: node.name")
  })

  it("the Schema alone refuses unknown keys too, and names that are no services", () => {
    for (const input of [{ nodes: {} }, { policies: { Pay: {} } }]) {
      expect(Either.isLeft(Schema.decodeUnknownEither(NodeConfig)(input))).toBe(true)
    }
  })
})

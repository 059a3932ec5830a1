import { Schema } from "effect"
import { describe, expect, expectTypeOf, it } from "vitest"
import * as Names from "../model/Names.ts"
import { MeshId, NodeName, PeerKey, ServiceName } from "./NamesSchema.ts"

describe("the Schemas of names", () => {
  it("decode to the model's types, from text", () => {
    expectTypeOf<typeof ServiceName.Type>().toEqualTypeOf<Names.ServiceName>()
    expectTypeOf<typeof NodeName.Type>().toEqualTypeOf<Names.NodeName>()
    expectTypeOf<typeof PeerKey.Type>().toEqualTypeOf<Names.PeerKey>()
    expectTypeOf<typeof MeshId.Type>().toEqualTypeOf<Names.MeshId>()
    expectTypeOf<typeof ServiceName.Encoded>().toEqualTypeOf<string>()
    expectTypeOf<Names.ServiceName>().not.toExtend<Names.NodeName>()
    expectTypeOf<string>().not.toExtend<Names.ServiceName>()
  })

  const texts = ["payments", "Host_a.1", "1".repeat(20), "0f".repeat(16), "", "-", "a b", "é"]
  it.each([
    [
      "ServiceName",
      Schema.decodeUnknownSync(ServiceName),
      Names.isServiceName,
      Names.ServiceName.rule
    ],
    ["NodeName", Schema.decodeUnknownSync(NodeName), Names.isNodeName, Names.NodeName.rule],
    ["PeerKey", Schema.decodeUnknownSync(PeerKey), Names.isPeerKey, Names.PeerKey.rule],
    ["MeshId", Schema.decodeUnknownSync(MeshId), Names.isMeshId, Names.MeshId.rule]
  ] as const)("%s takes what its predicate takes, and says its rule", (_, decode, is, rule) => {
    for (const text of texts) {
      if (is(text)) expect(decode(text)).toBe(text)
      else expect(() => decode(text)).toThrow(rule)
    }
    // The predicate alone would take it for the text "5".
    expect(() => decode(5)).toThrow()
  })

  it("make what programs write", () => {
    expect(ServiceName.make("payments")).toBe("payments")
    expect(() => ServiceName.make("Payments")).toThrow(Names.ServiceName.rule)
  })
})

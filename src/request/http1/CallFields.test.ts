import { describe, expect, it } from "vitest"
import { type CallFields, isCallField, takeCallField, takeGrpcTimeout } from "./CallFields.ts"

const take = (...fields: ReadonlyArray<readonly [string, string]>): CallFields | undefined =>
  fields.reduce<CallFields | undefined>(
    (said, [name, value]) =>
      name === "grpc-timeout" ? takeGrpcTimeout(said, value) : takeCallField(said, name, value),
    undefined
  )

describe("what a client says of its call", () => {
  it.each<[ReadonlyArray<readonly [string, string]>, CallFields | undefined]>([
    [[], undefined],
    [[["skein-deadline", "1500"]], { deadline: 1_500, attempt: 0 }],
    [[["skein-deadline", "0"]], { deadline: 0, attempt: 0 }],
    [[["skein-attempt", "2"]], { deadline: undefined, attempt: 2 }],
    [[["skein-attempt", "4000000"]], { deadline: undefined, attempt: 255 }],
    [[["grpc-timeout", "2S"]], { deadline: 2_000, attempt: 0 }],
    [[["grpc-timeout", "1M"]], { deadline: 60_000, attempt: 0 }],
    [[["grpc-timeout", "99999999H"]], { deadline: 99_999_999 * 3_600_000, attempt: 0 }],
    [[["grpc-timeout", "250m"]], { deadline: 250, attempt: 0 }],
    [[["grpc-timeout", "1500u"]], { deadline: 1.5, attempt: 0 }]
  ])("is read: %j", (fields, said) => {
    expect(take(...fields)).toEqual(said)
  })

  it("is held to the shortest limit", () => {
    expect(take(["skein-deadline", "900"], ["grpc-timeout", "1S"])).toMatchObject({ deadline: 900 })
    expect(take(["skein-deadline", "900"], ["grpc-timeout", "1m"])).toMatchObject({ deadline: 1 })
    expect(take(["skein-deadline", "900"], ["skein-deadline", "5"])).toMatchObject({ deadline: 5 })
    expect(take(["skein-attempt", "1"], ["skein-attempt", "0"])).toMatchObject({ attempt: 1 })
  })

  it.each(["", "x", "-1", "1.5", "1e3", " 1", "99999999999", "1, 2"])("refuses %j", (value) => {
    expect(() => takeCallField(undefined, "skein-deadline", value)).toThrow(
      /^skein-deadline .* is not a whole number of milliseconds$/
    )
    expect(() => takeCallField(undefined, "skein-attempt", value)).toThrow(/is not a whole number$/)
  })

  it.each(["", "1", "S", "1s", "123456789S", "1.5S", "-1S"])(
    "takes no grpc-timeout of %j for a limit",
    (value) => {
      expect(takeGrpcTimeout(undefined, value)).toBeUndefined()
      expect(takeGrpcTimeout({ deadline: 3, attempt: 0 }, value)).toMatchObject({ deadline: 3 })
    }
  )

  it("is two fields of the mesh's own", () => {
    expect(["skein-deadline", "skein-attempt", "skein-error"].map(isCallField)).toEqual([
      true,
      true,
      false
    ])
  })
})

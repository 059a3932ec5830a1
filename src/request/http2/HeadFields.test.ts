import { describe, expect, it } from "vitest"
import { sectionOf } from "../http1/FieldSection.ts"
import { Http1Error } from "../http1/Http1Error.ts"
import { defaultHttp1Limits } from "../http1/Limits.ts"
import { HeadFields } from "./HeadFields.ts"
import { HpackDecoder } from "./HpackDecoder.ts"
import { HpackEncoder } from "./HpackEncoder.ts"
import { requestOf } from "./RequestHeadFields.ts"
import { responseOf } from "./ResponseHeadFields.ts"

type Pairs = ReadonlyArray<readonly [string, string]>

/** One connection's fields, written and read. */
const connection = (sender: "client" | "program" = "client") => {
  const encoder = new HpackEncoder(4096)
  const decoder = new HpackDecoder(4096)
  const fields = new HeadFields(decoder, defaultHttp1Limits, sender)
  const begin = (pairs: Pairs): void => {
    encoder.begin()
    for (const [name, value] of pairs) encoder.field(name, value)
    const block = Buffer.from(encoder.end())
    decoder.begin(block, 0, block.length)
  }
  const caught = <Made>(make: () => Made): Made | string => {
    try {
      return make()
    } catch (error) {
      if (error instanceof Http1Error) return error.rule
      throw error
    }
  }
  return {
    request: (pairs: Pairs, isEnd = true) => {
      begin(pairs)
      const read = fields.read()
      if (read instanceof Http1Error) return read.rule
      return caught(() => requestOf(read, isEnd, defaultHttp1Limits))
    },
    response: (pairs: Pairs, isEnd = false, method = "GET") => {
      begin(pairs)
      const read = fields.read()
      if (read instanceof Http1Error) return read.rule
      return caught(() => responseOf(read, method, isEnd))
    },
    trailers: (pairs: Pairs) => {
      begin(pairs)
      const read = fields.readTrailers((name) => name !== "dropped")
      return read instanceof Http1Error ? read.rule : read
    }
  }
}

const get: Pairs = [
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "a.mesh"],
  [":path", "/x"]
]
const without = (name: string): Pairs => get.filter(([field]) => field !== name)
/** A CONNECT for a protocol; without one of its pseudo-fields. */
const extended = (protocol: string, missing?: string): Pairs => [
  ...changed(":method", "CONNECT").filter(([field]) => field !== missing),
  [":protocol", protocol]
]
const changed = (name: string, value: string): Pairs =>
  get.map(([field, old]) => [field, field === name ? value : old])

describe("requests", () => {
  it("are what HTTP/1.1 would have said", () => {
    const { request } = connection()
    expect(
      request([
        ...get,
        ["cookie", "a=1"],
        ["x-a", "1"],
        ["cookie", "b=2"],
        ["te", "trailers"],
        ["skein-deadline", "250"],
        ["skein-node", "forged"],
        ["skein-caller", "forged"],
        ["skein_caller", "forged"],
        ["skein.caller", "forged"]
      ])
    ).toEqual({
      head: {
        method: "GET",
        target: "/x",
        authority: "a.mesh",
        fields: ["x-a", "1", "te", "trailers", "cookie", "a=1; b=2"],
        framing: { kind: "none" },
        upgrade: undefined,
        expectsContinue: false
      },
      version: 2,
      call: { deadline: 250, attempt: 0 },
      extended: false
    })
  })

  it("have a body as long as they say, or one that streams", () => {
    const { request } = connection()
    expect(request([...get, ["content-length", "5"]], false)).toMatchObject({
      head: { framing: { kind: "length", length: 5 } }
    })
    expect(request(get, false)).toMatchObject({ head: { framing: { kind: "stream" } } })
    expect(request([...get, ["content-length", "5"]], true)).toBe("bad_content_length")
  })

  it("name their authority, or have a Host that does not contradict it", () => {
    const { request } = connection()
    expect(request([...without(":authority"), ["host", "b.mesh"]])).toMatchObject({
      head: { authority: "b.mesh" }
    })
    expect(request([...get, ["host", "a.mesh"]])).toMatchObject({ head: { authority: "a.mesh" } })
    expect(request([...get, ["host", "b.mesh"]])).toBe("bad_host")
    expect(request([...get, ["host", "a.mesh"], ["host", "a.mesh"]])).toBe("duplicate_host")
    expect(request(changed(":authority", "user@a.mesh"))).toBe("bad_host")
    // As gRPC's C library says it at a unix socket: nobody is named, and the port knows whom it reaches.
    const path = changed(":authority", "run%2Fskein%2Fpay-1.sock")
    expect(request(path)).toMatchObject({ head: { authority: "" } })
    expect(request([...path, ["host", "b.mesh"]])).toMatchObject({ head: { authority: "b.mesh" } })
    expect(request(changed(":authority", "a.mesh%00"))).toBe("bad_host")
    expect(request(changed(":authority", "run%2Fa.mesh@b"))).toBe("bad_host")
  })

  it("of CONNECT have an authority and nothing else", () => {
    const { request } = connection()
    const connect: Pairs = [
      [":method", "CONNECT"],
      [":authority", "a.mesh:80"]
    ]
    expect(request(connect, false)).toMatchObject({
      head: { method: "CONNECT", target: "a.mesh:80", authority: "a.mesh:80" }
    })
    expect(request([...connect, [":path", "/"]], false)).toBe("bad_pseudo_field")
    expect(request(connect.slice(0, 1), false)).toBe("bad_target")
  })

  for (const [what, pairs, rule] of [
    ["no method", without(":method"), "bad_pseudo_field"],
    ["no scheme", without(":scheme"), "bad_pseudo_field"],
    ["no path", without(":path"), "bad_pseudo_field"],
    ["a pseudo-field twice", [...get, [":path", "/y"]], "bad_pseudo_field"],
    ["a pseudo-field behind others", [...get, ["x-a", "1"], [":path", "/y"]], "bad_pseudo_field"],
    ["an unknown pseudo-field", [...get, [":status", "200"]], "bad_pseudo_field"],
    [":protocol of GET", [...get, [":protocol", "websocket"]], "bad_pseudo_field"],
    ["CONNECT for another protocol", extended("connect-udp"), "unsupported_protocol"],
    ["CONNECT for a protocol without a path", extended("websocket", ":path"), "bad_pseudo_field"],
    ["one without a scheme", extended("websocket", ":scheme"), "bad_pseudo_field"],
    ["one without an authority", extended("websocket", ":authority"), "bad_pseudo_field"],
    [
      ...(["one with a length", [...extended("websocket"), ["content-length", "0"]]] as const),
      "bad_content_length"
    ],
    ["https", changed(":scheme", "https"), "unsupported_scheme"],
    ["an empty path", changed(":path", ""), "bad_target"],
    ["a path with a space", changed(":path", "/ x"), "bad_target"],
    ["a line break in the path", changed(":path", "/\r\nx: y"), "bad_target"],
    ["* for GET", changed(":path", "*"), "bad_target"],
    ["a method that is none", changed(":method", "GET /"), "bad_method"],
    ["Connection", [...get, ["connection", "close"]], "connection_field"],
    ["Transfer-Encoding", [...get, ["transfer-encoding", "chunked"]], "connection_field"],
    ["Upgrade", [...get, ["upgrade", "h2c"]], "connection_field"],
    ["Keep-Alive", [...get, ["keep-alive", "5"]], "connection_field"],
    ["Proxy-Connection", [...get, ["proxy-connection", "close"]], "connection_field"],
    ["TE of more than trailers", [...get, ["te", "trailers, gzip"]], "connection_field"],
    ["capital letters", [...get, ["X-A", "1"]], "bad_field"],
    ["a colon in a name", [...get, ["a:b", "1"]], "bad_field"],
    ["a line break in a value", [...get, ["x-a", "1\r\nx-b: 2"]], "bad_field"],
    ["NUL in a value", [...get, ["x-a", "1\0"]], "bad_field"],
    ["a blank before a value", [...get, ["x-a", " 1"]], "bad_field"],
    ["a blank behind a value", [...get, ["x-a", "1\t"]], "bad_field"],
    [
      "two lengths",
      [...get, ["content-length", "1"], ["content-length", "1"]],
      "duplicate_content_length"
    ],
    ["a deadline that is none", [...get, ["skein-deadline", "soon"]], "bad_call_field"]
  ] as const) {
    it(`are refused with ${what}`, () => {
      const { request } = connection()
      expect(request(pairs)).toBe(rule)
      // Again, when tables and memory know it.
      expect(request(pairs)).toBe(rule)
      expect(request(pairs)).toBe(rule)
      expect(request(get)).toMatchObject({ head: { target: "/x" } })
    })
  }

  it("have no more fields and bytes than those of HTTP/1.1", () => {
    const { request } = connection()
    const many = Array.from({ length: 101 }, (_, n) => [`x-${n}`, ""] as const)
    expect(request([...get, ...many])).toBe("field_count")
    expect(request([...get, ["x-a", "x".repeat(40_000)]])).toBe("head_bytes")
    expect(request(changed(":path", `/${"x".repeat(16 * 1024)}`))).toBe("target_bytes")
  })

  it("cost no memory for fields that are said many times by number (an HPACK bomb)", () => {
    const { request } = connection()
    const big = ["x-big", "x".repeat(900)] as const
    expect(request([...get, big])).toMatchObject({ head: { method: "GET" } })
    expect(request([...get, ...Array.from({ length: 16_000 }, () => big)])).toBe("head_bytes")
  })

  it("that say the same fields again are recognised, whatever their path", () => {
    const { request } = connection()
    const seen = ["/a", "/b", "/c", "/d", "/e"].map((path) => {
      const read = request([...changed(":path", path), ["x-a", "1"], ["accept", "*/*"]])
      if (typeof read === "string") throw new Error(read)
      return read.head
    })
    expect(seen.map(({ target }) => target)).toEqual(["/a", "/b", "/c", "/d", "/e"])
    expect(seen[4]!.fields).toBe(seen[3]!.fields)
    expect(sectionOf(seen[4]!.fields)).toBeDefined()
    expect(seen[0]!.fields).toEqual(seen[4]!.fields)
  })
})

describe("responses", () => {
  it("have a status of three digits that is not 101", () => {
    const { response } = connection("program")
    expect(
      response([
        [":status", "200"],
        ["x-a", "1"],
        ["skein-error", "forged"],
        ["skein_error", "forged"]
      ])
    ).toEqual({
      status: 200,
      reason: "",
      fields: ["x-a", "1"],
      framing: { kind: "stream" },
      upgrade: undefined
    })
    for (const status of ["101", "20", "2000", "abc", ""]) {
      expect(response([[":status", status]])).toBe("bad_status")
    }
    expect(response([["x-a", "1"]])).toBe("bad_pseudo_field")
    expect(response([[":status", "103"]], true)).toBe("bad_status")
  })

  it("end with their head when they say so", () => {
    const { response } = connection("program")
    expect(response([[":status", "200"]], true)).toMatchObject({
      framing: { kind: "length", length: 0 }
    })
    expect(
      response(
        [
          [":status", "200"],
          ["content-length", "5"]
        ],
        true
      )
    ).toBe("bad_content_length")
    expect(
      response(
        [
          [":status", "200"],
          ["content-length", "5"]
        ],
        true,
        "HEAD"
      )
    ).toMatchObject({
      framing: { kind: "length", length: 5 }
    })
    expect(response([[":status", "204"]], true)).toMatchObject({ framing: { kind: "none" } })
  })
})

describe("trailers", () => {
  it("are fields, but for those that may not be", () => {
    const { trailers } = connection("program")
    expect(
      trailers([
        ["grpc-status", "0"],
        ["dropped", "1"]
      ])
    ).toEqual(["grpc-status", "0"])
    expect(trailers([[":status", "200"]])).toBe("bad_pseudo_field")
    expect(trailers([["X-A", "1"]])).toBe("bad_field")
    expect(trailers([["x-a", "x".repeat(20_000)]])).toBe("trailer_bytes")
  })
})

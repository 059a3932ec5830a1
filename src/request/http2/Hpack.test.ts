import { performServerHandshake } from "node:http2"
import { Duplex } from "node:stream"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { asSection } from "../http1/FieldSection.ts"
import { HpackDecoder } from "./HpackDecoder.ts"
import { HpackEncoder } from "./HpackEncoder.ts"
import { Http2Error } from "./Http2Error.ts"
import { FrameType, frame, preface } from "./Http2Frame.ts"
import { readHuffman } from "./Huffman.ts"

const decode = (decoder: HpackDecoder, block: Buffer): Array<string> => {
  const fields: Array<string> = []
  decoder.begin(block, 0, block.length)
  for (let field = decoder.next(); field !== undefined; field = decoder.next()) {
    fields.push(`${field.name}: ${field.value}`)
  }
  return fields
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex")

/** RFC 7541 Appendix C: blocks of one connection, and the fields of each. */
const examples: ReadonlyArray<{
  readonly name: string
  readonly capacity?: number
  readonly blocks: ReadonlyArray<readonly [string, ReadonlyArray<string>]>
}> = [
  {
    name: "C.2.1 literal with indexing",
    blocks: [
      [
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        ["custom-key: custom-header"]
      ]
    ]
  },
  {
    name: "C.2.2 literal without indexing",
    blocks: [["040c 2f73 616d 706c 652f 7061 7468", [":path: /sample/path"]]]
  },
  {
    name: "C.2.3 never indexed",
    blocks: [["1008 7061 7373 776f 7264 0673 6563 7265 74", ["password: secret"]]]
  },
  { name: "C.2.4 indexed", blocks: [["82", [":method: GET"]]] },
  ...(
    [
      [
        "C.3 requests",
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65"
      ],
      [
        "C.4 requests with Huffman",
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"
      ]
    ] as const
  ).map(([name, first, second, third]) => ({
    name,
    blocks: [
      [first, [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"]],
      [
        second,
        [
          ":method: GET",
          ":scheme: http",
          ":path: /",
          ":authority: www.example.com",
          "cache-control: no-cache"
        ]
      ],
      [
        third,
        [
          ":method: GET",
          ":scheme: https",
          ":path: /index.html",
          ":authority: www.example.com",
          "custom-key: custom-value"
        ]
      ]
    ] as const
  })),
  ...(
    [
      [
        "C.5 responses, with eviction",
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31"
      ],
      [
        "C.6 responses with Huffman, with eviction",
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07"
      ]
    ] as const
  ).map(([name, first, second, third]) => ({
    name,
    capacity: 256,
    blocks: [
      [
        first,
        [
          ":status: 302",
          "cache-control: private",
          "date: Mon, 21 Oct 2013 20:13:21 GMT",
          "location: https://www.example.com"
        ]
      ],
      [
        second,
        [
          ":status: 307",
          "cache-control: private",
          "date: Mon, 21 Oct 2013 20:13:21 GMT",
          "location: https://www.example.com"
        ]
      ],
      [
        third,
        [
          ":status: 200",
          "cache-control: private",
          "date: Mon, 21 Oct 2013 20:13:22 GMT",
          "location: https://www.example.com",
          "content-encoding: gzip",
          "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
        ]
      ]
    ] as const
  }))
]

describe("HPACK", () => {
  for (const { blocks, capacity = 4096, name } of examples) {
    it(`reads RFC 7541 ${name}`, () => {
      const decoder = new HpackDecoder(capacity)
      for (const [block, fields] of blocks) expect(decode(decoder, hex(block))).toEqual(fields)
    })
  }

  it("writes requests as RFC 7541 C.3 does", () => {
    const encoder = new HpackEncoder(4096)
    const write = (...fields: ReadonlyArray<readonly [string, string]>): string => {
      encoder.begin()
      for (const [name, value] of fields) encoder.field(name, value)
      return encoder.end().toString("hex")
    }
    const common = [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "www.example.com"]
    ] as const
    expect(write(...common)).toBe(
      hex("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d").toString("hex")
    )
    expect(write(...common, ["cache-control", "no-cache"])).toBe("828684be58086e6f2d6361636865")
  })

  const text = fc.string({
    unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
    maxLength: 300
  })
  const name = fc.oneof(
    fc.constantFrom("cookie", "authorization", "date", "grpc-timeout", "x-a", "x-b", "accept"),
    fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/)
  )
  const message = fc.array(fc.tuple(name, fc.oneof(fc.constantFrom("a", "b"), text)), {
    maxLength: 30
  })

  it("reads what it writes, over many blocks and changes of the table's size", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(message, fc.option(fc.integer({ min: 0, max: 8192 }))), {
          maxLength: 20
        }),
        fc.boolean(),
        (messages, repeats) => {
          const encoder = new HpackEncoder(4096)
          const decoder = new HpackDecoder(4096)
          for (const [fields, size] of messages) {
            if (size !== null) encoder.allow(size)
            const flat = fields.flat()
            if (repeats) asSection(flat)
            for (let times = 0; times < 3; times++) {
              encoder.begin()
              encoder.fields(flat)
              const wanted: Array<string> = []
              for (let i = 0; i < flat.length; i += 2) {
                const parts = flat[i] === "cookie" ? flat[i + 1]!.split("; ") : [flat[i + 1]!]
                for (const part of parts) wanted.push(`${flat[i]}: ${part}`)
              }
              expect(decode(decoder, Buffer.from(encoder.end()))).toEqual(wanted)
            }
          }
        }
      ),
      { numRuns: 200 }
    )
  })

  it("ends with an error, and nothing worse, whatever it is given", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (blocks) => {
        const decoder = new HpackDecoder(4096)
        try {
          for (const block of blocks) decode(decoder, Buffer.from(block))
        } catch (error) {
          expect(error).toBeInstanceOf(Http2Error)
        }
      }),
      { numRuns: 2_000 }
    )
  })

  it("refuses padding that is none, and the end of the code within text (§5.2)", () => {
    for (const [bytes, read] of [
      ["1f", "a"], // 00011 111
      ["1fff", undefined], // 11 bits of padding
      ["18", undefined], // padding of zeros
      ["ffffffff", undefined] // the end itself
    ] as const) {
      const buffer = hex(bytes)
      expect(readHuffman(buffer, 0, buffer.length)).toBe(read)
    }
  })

  for (const [what, block] of [
    ["index 0", "80"],
    ["an index beyond the tables", "ff00"],
    ["a number without end", "ffffffffffffffffff7f"],
    ["a larger table than was offered", "3fe2ff03"],
    ["a resize behind a field", "8220"],
    ["text cut short", "400a63"]
  ] as const) {
    it(`refuses ${what}`, () => {
      expect(() => decode(new HpackDecoder(4096), hex(block))).toThrow(Http2Error)
    })
  }

  it("is read by nghttp2, Node's", async () => {
    const encoder = new HpackEncoder(4096)
    const blocks = [0, 1, 2].map((round) => {
      encoder.begin()
      for (const [name, value] of [
        [":method", "GET"],
        [":scheme", "http"],
        [":authority", "a.mesh"],
        [":path", `/${round}`],
        ["x-same", "the same"],
        ["authorization", "secret"],
        ["cookie", "a=b"]
      ] as const) {
        encoder.field(name, value)
      }
      return Buffer.from(encoder.end())
    })
    const wire = Buffer.concat([
      preface,
      frame(FrameType.settings, 0, 0, Buffer.alloc(0)),
      ...blocks.map((block, index) => frame(FrameType.headers, 0x5, 1 + 2 * index, block))
    ])
    const socket = new Duplex({ read: () => undefined, write: (_, __, done) => done() })
    const session = performServerHandshake(socket)
    const seen: Array<unknown> = []
    const done = new Promise<void>((resolve) => {
      session.on("stream", (_, headers) => {
        seen.push({ ...headers })
        if (seen.length === 3) resolve()
      })
    })
    socket.push(wire)
    await done
    expect(seen).toEqual(
      [0, 1, 2].map((round) =>
        expect.objectContaining({
          ":path": `/${round}`,
          "x-same": "the same",
          authorization: "secret",
          cookie: "a=b"
        })
      )
    )
    session.destroy()
  })
})

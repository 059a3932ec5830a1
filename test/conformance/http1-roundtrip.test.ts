/** What Encode writes, the readers and the peer's decoders read back equal. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  type Fields,
  type Framing,
  noBody,
  type RequestHead,
  type ResponseHead,
  streamBody
} from "../../src/model/Exchange.ts"
import {
  chunkPrefix,
  chunkSuffix,
  encodeRequestHead,
  encodeResponseHead,
  lastChunk,
  responseBodyCoding,
  unsafePart
} from "../../src/request/http1/Encode.ts"
import { decodeRequestHead } from "../../src/request/http1/RequestHeadText.ts"
import { decodeResponseHead } from "../../src/request/http1/ResponseHeadText.ts"
import { latin1, readRequests, readResponses, split } from "./Http1Recorder.ts"

const reserved =
  /^(connection|content-length|expect|host|keep-alive|proxy-.*|te|transfer-encoding|upgrade|date|skein-.*|content_length|transfer_encoding)$/i

const fieldName = fc
  .stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,24}$/)
  .filter((name) => !reserved.test(name))
const fieldValue = fc.oneof(
  fc.constant(""),
  fc.stringMatching(/^[!-~\x80-\xff]$/),
  fc.stringMatching(/^[!-~\x80-\xff][\t -~\x80-\xff]{0,60}[!-~\x80-\xff]$/)
)
const fields: fc.Arbitrary<Fields> = fc
  .array(
    fc.oneof(
      { weight: 9, arbitrary: fc.tuple(fieldName, fieldValue) },
      { weight: 1, arbitrary: fc.constant(["te", "trailers"] as const) }
    ),
    { maxLength: 12 }
  )
  .map((pairs) => pairs.flat())

const authority = fc.oneof(
  fc.stringMatching(/^[a-z0-9-]{1,20}\.mesh$/),
  fc
    .tuple(fc.stringMatching(/^[a-z0-9-]{1,20}$/), fc.integer({ min: 1, max: 65_535 }))
    .map(([name, port]) => `${name}.mesh:${port}`),
  fc.constantFrom("[::1]", "[2001:db8::1]:8080", "127.0.0.1:80", "A_b~c")
)
const length: fc.Arbitrary<Framing> = fc
  .oneof(fc.nat({ max: 300 }), fc.maxSafeNat())
  .map((bytes) => ({ kind: "length", length: bytes }))
const framing = fc.oneof(fc.constant(noBody), fc.constant(streamBody), length)
const origin = fc.stringMatching(/^\/[!"$->@-[\]-~]{0,20}(\?[!"$-~]{0,20})?$/)
const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/)

const plain: fc.Arbitrary<RequestHead> = fc.record({
  method: token.filter((method) => method !== "CONNECT"),
  target: origin,
  authority: fc.oneof(authority, fc.constant("")),
  fields,
  framing,
  upgrade: fc.constant(undefined),
  expectsContinue: fc.boolean()
})
const requestHead: fc.Arbitrary<RequestHead> = fc.oneof(
  plain,
  plain.map((head) => ({ ...head, method: "OPTIONS", target: "*" })),
  fc
    .tuple(plain, fc.constantFrom("websocket", "TLS/1.0", "a/1, b"), fc.boolean())
    .map(([head, upgrade, empty]) => ({
      ...head,
      upgrade,
      framing: empty ? ({ kind: "length", length: 0 } as const) : noBody
    })),
  fc.tuple(plain, fc.stringMatching(/^[a-z]{1,9}:[1-9][0-9]{0,3}$/)).map(([head, target]) => ({
    ...head,
    method: "CONNECT",
    target,
    authority: target,
    framing: noBody
  }))
)

interface Answer {
  readonly method: string
  readonly head: ResponseHead
}

const answer = (
  method: fc.Arbitrary<string>,
  status: fc.Arbitrary<number>,
  how: fc.Arbitrary<Framing>,
  upgrade: string | undefined = undefined
): fc.Arbitrary<Answer> =>
  fc
    .tuple(method, status, how, fields, fc.oneof(fc.constant(""), fieldValue))
    .map(([by, code, frame, list, reason]) => ({
      method: by,
      head: { status: code, reason, fields: list, framing: frame, upgrade }
    }))

const ordinary = fc.integer({ min: 200, max: 999 }).filter((code) => code !== 204 && code !== 304)
const anyMethod = fc.constantFrom("GET", "POST", "HEAD")
const responseHead: fc.Arbitrary<Answer> = fc.oneof(
  answer(fc.constant("GET"), ordinary, fc.oneof(fc.constant(streamBody), length)),
  answer(fc.constant("HEAD"), ordinary, framing),
  answer(anyMethod, fc.constant(304), framing),
  answer(anyMethod, fc.constantFrom(100, 102, 103, 204), fc.constant(noBody)),
  answer(fc.constant("GET"), fc.constant(101), fc.constant(streamBody), "websocket"),
  answer(fc.constant("CONNECT"), fc.constantFrom(200, 299), fc.constant(streamBody)),
  answer(anyMethod, fc.constantFrom(200, 304, 426), length, "websocket, TLS/1.3")
)

const trailers: fc.Arbitrary<Fields> = fc
  .array(
    fc.tuple(
      fc.stringMatching(/^x-[a-z]{1,9}$/).filter((name) => !name.startsWith("x-forwarded")),
      fieldValue
    ),
    { maxLength: 4 }
  )
  .map((pairs) => pairs.flat())

const octets = (minLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength, maxLength: 50 }).map((bytes) => Buffer.from(bytes).toString("latin1"))

/** A message as it is meant, and its body as it is written. */
const sentRequest = (head: RequestHead, chunks: ReadonlyArray<string>, ends: Fields) => {
  const content = chunks.join("")
  switch (head.framing.kind) {
    case "none":
      return { head, content: "", ends: [], wire: "" }
    case "length": {
      const exact = { ...head, framing: { kind: "length", length: content.length } as const }
      return { head: exact, content, ends: [], wire: content }
    }
    case "stream": {
      const data = chunks.map((part) => chunkPrefix(part.length) + part + chunkSuffix)
      return { head, content, ends, wire: data.join("") + lastChunk(ends) }
    }
  }
}

const runs = { numRuns: 800 }
const answering = { version: 1, keepAlive: true } as const

describe("round trip", () => {
  it("of request heads to a peer", () => {
    fc.assert(
      fc.property(requestHead, (head) => {
        expect(unsafePart(head)).toBeUndefined()
        const parsed = decodeRequestHead(latin1(encodeRequestHead(head)))
        expect(parsed).toEqual({ head, version: 1, keepAlive: true })
      }),
      runs
    )
  })

  it("of response heads to a peer", () => {
    fc.assert(
      fc.property(responseHead, ({ head, method }) => {
        expect(unsafePart(head)).toBeUndefined()
        const text = encodeResponseHead(head, { method, ...answering })
        expect(decodeResponseHead(latin1(text), method).head).toEqual(head)
      }),
      runs
    )
  })

  it("of whole requests over a connection", () => {
    const body = fc.array(octets(1), { maxLength: 4 })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(plain, body, trailers), { minLength: 1, maxLength: 3 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        (messages, cuts) => {
          const sent = messages.map((parts) => sentRequest(...parts))
          const text = sent.map(({ head, wire }) => encodeRequestHead(head) + wire).join("")
          const read = readRequests(split(text, cuts))
          expect(read.error).toBeUndefined()
          expect(read.idle).toBe(true)
          expect(
            read.messages.map(({ request, body: content, trailers: ends }) => ({
              head: request.head,
              content,
              ends
            }))
          ).toEqual(sent.map(({ head, content, ends }) => ({ head, content, ends })))
        }
      ),
      { numRuns: 300 }
    )
  })

  it("of whole responses, for clients of both versions", () => {
    const content = octets(0)
    fc.assert(
      fc.property(
        answer(anyMethod, fc.oneof(ordinary, fc.constantFrom(204, 304)), framing),
        fc.constantFrom<0 | 1>(0, 1),
        content,
        ({ head, method }, version, text) => {
          const exact: ResponseHead =
            head.framing.kind === "length"
              ? { ...head, framing: { kind: "length", length: text.length } }
              : head
          const coding = responseBodyCoding(exact, method, version)
          const content = exact.framing.kind === "none" || coding === "none" ? "" : text
          const wire =
            coding === "chunked"
              ? (content === "" ? "" : chunkPrefix(content.length) + content + chunkSuffix) +
                lastChunk([])
              : content
          const bytes = encodeResponseHead(exact, { method, version, keepAlive: true }) + wire
          const read = readResponses([method], [bytes], { eof: coding === "until_close" })
          expect(read.error).toBeUndefined()
          expect(read.responses).toHaveLength(1)
          expect(read.responses[0]!.body).toBe(content)
          expect(read.responses[0]!.trailers).toEqual([])
          expect(read.responses[0]!.response.head.fields).toEqual(head.fields)
          expect(read.responses[0]!.response.keepAlive).toBe(coding !== "until_close")
        }
      ),
      runs
    )
  })
})

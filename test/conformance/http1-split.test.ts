/** How the network cuts a byte stream into pieces never changes what is read from it. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { Http1Limits } from "../../src/request/http1/Limits.ts"
import { droppedTrailers, requestCorpus, responseCorpus } from "./Corpus.ts"
import { readRequests, readResponses, requestCalls, responseCalls, split } from "./Http1Recorder.ts"

/** Small, so that every limit is met. */
const limits: Http1Limits = {
  methodBytes: 8,
  targetBytes: 24,
  headBytes: 160,
  fieldCount: 6,
  chunkExtensionBytes: 12,
  trailerBytes: 40,
  interimBytes: 60
}

const weird = fc.constantFrom(
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  " ",
  "\t",
  "\0",
  ":",
  ",",
  "\xe9",
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "0\r\n\r\n",
  "x".repeat(30),
  "x".repeat(200),
  "X: y\r\n"
)

const body = fc.oneof(
  fc.constant(["", ""] as const),
  fc
    .string({ maxLength: 20 })
    .map((text) => [`Content-Length: ${text.length}\r\n`, text.replace(/[^ -~]/g, "?")] as const),
  fc
    .tuple(
      fc.array(fc.stringMatching(/^[a-z\r\n]{1,20}$/), { maxLength: 4 }),
      fc.constantFrom("", ";a", ';b="c;d"', ";e=f;g", " ; h = i"),
      fc.constantFrom(
        "",
        "X-Sum: 1\r\n",
        "A: b\r\nC: d\r\n",
        "Via: x\r\nX-A: 2\r\n",
        `Long: ${"y".repeat(40)}\r\n`
      )
    )
    .map(([chunks, extension, trailers]) => {
      const data = chunks.map((chunk) => `${chunk.length.toString(16)}${extension}\r\n${chunk}\r\n`)
      return ["Transfer-Encoding: chunked\r\n", `${data.join("")}0\r\n${trailers}\r\n`] as const
    })
)

const fields = fc
  .array(
    fc.constantFrom(
      "Accept: */*\r\n",
      "X-Long: 0123456789012345678901234567890123456789\r\n",
      "Connection: close, x-a\r\n",
      "x-a:\tb \r\n",
      "TE: trailers, gzip\r\n",
      "Expect: 100-continue\r\n",
      "Connection: upgrade\r\nUpgrade: websocket\r\n"
    ),
    { maxLength: 3 }
  )
  .map((lines) => lines.join(""))

const request = fc
  .tuple(
    fc.constantFrom("", "\r\n"),
    fc.constantFrom(
      "GET / HTTP/1.1",
      "POST /a?b HTTP/1.0",
      "PUT http://b.mesh:80?q HTTP/1.1",
      "OPTIONS * HTTP/1.1",
      "CONNECT a:1 HTTP/1.1"
    ),
    fields,
    body
  )
  .map(([lead, start, lines, [framing, content]]) => {
    return `${lead}${start}\r\nHost: a.mesh\r\n${lines}${framing}\r\n${content}`
  })

const response = fc
  .tuple(
    fc.constantFrom(
      "HTTP/1.1 200 OK",
      "HTTP/1.1 404",
      "HTTP/1.0 200 ",
      "HTTP/1.1 204 None",
      "HTTP/1.1 304 Same",
      "HTTP/1.1 103 Hints",
      "HTTP/1.1 101 Switch\r\nConnection: upgrade\r\nUpgrade: x"
    ),
    fields,
    body
  )
  .map(([start, lines, [framing, content]]) => `${start}\r\n${lines}${framing}\r\n${content}`)

/** Said once, or so often that the reader recognises what is said again (BlockMemory.ts). */
const repeated = (message: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(message, fc.constantFrom(1, 1, 3, 4)).map(([text, times]) => text.repeat(times))

/** One to three messages, half of the time with something put in where it may not belong. */
const stream = (message: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.array(repeated(message), { minLength: 1, maxLength: 3 }),
      fc.option(fc.tuple(weird, fc.nat(), fc.nat({ max: 3 })))
    )
    .map(([messages, insertion]) => {
      const text = messages.join("")
      if (insertion === null) return text
      const [inserted, where, removed] = insertion
      const at = where % text.length
      return text.slice(0, at) + inserted + text.slice(at + removed)
    })

const runs = { numRuns: 1_500 }

describe("splitting", () => {
  it("does not change what is read from requests", () => {
    fc.assert(
      fc.property(
        stream(request),
        fc.array(fc.nat(), { maxLength: 8 }),
        fc.boolean(),
        fc.boolean(),
        (text, cuts, accept, eof) => {
          const options = { accept, eof, limits }
          const whole = readRequests([text], options)
          expect(readRequests(split(text, cuts), options)).toEqual(whole)
          expect(readRequests([...text], options)).toEqual(whole)
        }
      ),
      runs
    )
  })

  it("does not change what is read from responses", () => {
    fc.assert(
      fc.property(
        stream(response),
        fc.constantFrom("GET", "HEAD", "CONNECT"),
        fc.array(fc.nat(), { maxLength: 8 }),
        fc.boolean(),
        (text, method, cuts, eof) => {
          const options = { eof, limits }
          const whole = readResponses([method], [text], options)
          expect(readResponses([method], split(text, cuts), options)).toEqual(whole)
          expect(readResponses([method], [...text], options)).toEqual(whole)
        }
      ),
      runs
    )
  })
})

/** Text in two, at every place where it can be cut, and byte by byte. */
const everyCut = function* (text: string): Generator<ReadonlyArray<string>> {
  // Within thousands of equal bytes one place is as good as another.
  const step = text.length > 2_000 ? 997 : 1
  for (let at = 1; at < text.length; at += step) yield [text.slice(0, at), text.slice(at)]
  yield [...text]
}

describe("what comes before something wrong is told, however the bytes were cut:", () => {
  const sameCalls = (
    text: string,
    read: (pieces: ReadonlyArray<string>) => ReadonlyArray<string>
  ) => {
    const whole = read([text])
    const told = whole.join("\n")
    for (const pieces of everyCut(text)) {
      const calls = read(pieces)
      // `expect` alone would be most of the time.
      if (calls.join("\n") !== told) expect(calls, JSON.stringify(pieces)).toEqual(whole)
    }
    return whole
  }

  it.each(Object.entries(requestCorpus))("requests, %s", (_, cases) => {
    for (const [, bytes] of cases) {
      sameCalls(bytes, requestCalls)
      // And behind a message that is right, of which everything is told.
      const good =
        "POST /good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
      if (bytes.length > 2_000) continue
      const calls = sameCalls(good + bytes, requestCalls)
      expect(calls[0]).toContain('"target":"/good"')
      expect(calls.slice(1, 3)).toEqual(["body abc", "end []"])
    }
  })

  // One by one: each is cut in hundreds of ways, and the longest at each of its bytes.
  describe.each(["GET", "HEAD", "CONNECT"])("responses to %s", (method) => {
    it.each(responseCorpus)(
      "%s",
      (_, bytes) => {
        sameCalls(bytes, (pieces) => responseCalls(method, pieces))
        const hints = "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
        const calls = sameCalls(hints + bytes, (pieces) => responseCalls(method, pieces))
        expect(calls[0]).toMatch(/^info .*"status":103/)
      },
      60_000
    )
  })

  it("trailers", () => {
    for (const [field, label] of droppedTrailers) {
      const rest = `3\r\nabc\r\n2;x\r\nde\r\n0\r\nX-Sum: 1\r\n${field}\r\nX-Last: 2\r\n\r\n`
      const fields = "Connection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n"
      for (const calls of [
        sameCalls(`POST / HTTP/1.1\r\nHost: a\r\n${fields}${rest}`, requestCalls),
        sameCalls(`HTTP/1.1 200 OK\r\n${fields}${rest}`, (pieces) => responseCalls("GET", pieces))
      ]) {
        expect(calls.slice(1)).toEqual([
          "body abcde",
          `dropped ${label}`,
          'end ["X-Sum","1","X-Last","2"]'
        ])
      }
    }
  })

  it("whatever is sent", () => {
    const few = { numRuns: 100 }
    fc.assert(
      fc.property(stream(request), (text) => {
        sameCalls(text.slice(0, 1_000), (pieces) => requestCalls(pieces, limits))
      }),
      few
    )
    fc.assert(
      fc.property(
        response,
        fc.constantFrom("GET", "HEAD"),
        fc.string({ maxLength: 4 }),
        (text, method, more) => {
          sameCalls(text + more.replace(/[^\0-\xff]/g, "?"), (pieces) =>
            responseCalls(method, pieces, limits)
          )
        }
      ),
      few
    )
  })
})

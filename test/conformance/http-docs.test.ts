/** What docs/http.md says of single messages, tried out. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { faultKinds } from "../../src/model/Fault.ts"
import { encodeRequestHead, encodeResponseHead } from "../../src/request/http1/Encode.ts"
import { type Http1Rule, http1Rules } from "../../src/request/http1/Http1Error.ts"
import { defaultHttp1Limits } from "../../src/request/http1/Limits.ts"
import { maxRetainedBytes } from "../../src/request/http1/RequestReader.ts"
import { requestCorpus, responseCorpus } from "./Corpus.ts"
import { readRequests, readResponses } from "./Http1Recorder.ts"

const text = readFileSync(join(import.meta.dirname, "../../docs/http.md"), "utf8")

/** Rows of the table below the line `after`, as cells. */
const table = (after: string): ReadonlyArray<ReadonlyArray<string>> => {
  const lines = text.slice(text.indexOf(`\n${after}\n`) + after.length + 2).split("\n")
  const first = lines.findIndex((line) => line.startsWith("|---"))
  const rest = lines.slice(first + 1)
  const rows = rest.slice(
    0,
    rest.findIndex((line) => !line.startsWith("|"))
  )
  return rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim())
  )
}

const quoted = (cell: string): Array<string> => [...cell.matchAll(/`([^`]*)`/g)].map((it) => it[1]!)

/** Of responses alone, and those that nobody is there to be told. */
const answers: Partial<Record<Http1Rule, string>> = {
  bad_status: "502",
  bad_reason: "502",
  bad_switch: "502",
  interim_bytes: "502",
  unexpected_bytes: "–",
  incomplete: "–"
}

describe("the rules of docs/http.md", () => {
  const rows = table("## What is refused")
  const rules = rows.map(([rule = ""]) => quoted(rule)[0] ?? "")

  it("are all there are, each once", () => {
    expect(rules.toSorted()).toEqual(Object.keys(http1Rules).toSorted())
  })

  it("are answered as it says", () => {
    for (const [i, [, answer]] of rows.entries()) {
      const rule = rules[i] as Http1Rule // they are, by the test above
      const expected = answers[rule] ?? String(faultKinds[http1Rules[rule]].status)
      expect(answer, rule).toBe(expected)
    }
  })

  it("are each broken by something in the corpus", () => {
    const broken = new Set<string>([
      ...Object.values(requestCorpus).flatMap((cases) => cases.map(([, , rule]) => rule)),
      ...responseCorpus.map(([, , rule]) => rule),
      // Not by bytes alone: by their end, and by how many come before anybody answers.
      "incomplete",
      "pipelined_bytes",
      // By HTTP/2 alone: src/request/http2/HeadFields.test.ts.
      "bad_pseudo_field",
      "connection_field",
      "bad_field",
      "unsupported_protocol"
    ])
    expect(rules.filter((rule) => !broken.has(rule))).toEqual([])
  })

  it("have the limits it says", () => {
    const said = (rule: string): number => {
      const [, , what = ""] = rows[rules.indexOf(rule)] ?? []
      const [, number, unit] = /([\d,]+)( KiB)?/.exec(what) ?? []
      return Number(number?.replace(",", "")) * (unit === undefined ? 1 : 1024)
    }
    expect({
      methodBytes: said("method_bytes"),
      targetBytes: said("target_bytes"),
      headBytes: said("head_bytes"),
      fieldCount: said("field_count"),
      chunkExtensionBytes: said("chunk_extension_bytes"),
      trailerBytes: said("trailer_bytes"),
      interimBytes: said("interim_bytes")
    }).toEqual(defaultHttp1Limits)
    expect(said("pipelined_bytes")).toBe(maxRetainedBytes)
  })
})

/** Lines of a head, without those that only this test has put in. */
const without = (head: string, added: ReadonlyArray<string>): ReadonlyArray<string> =>
  head.split("\r\n").filter((line) => line !== "" && !added.includes(line))

describe("what docs/http.md says is written otherwise", () => {
  it.each(table("Of requests:"))("of requests: %s", (received, forwarded) => {
    const lines = quoted(received)
    const start = /HTTP\/1\.\d$/.test(lines[0] ?? "") ? lines.shift() : "GET / HTTP/1.1"
    if (!lines.some((line) => /^host:/i.test(line))) lines.push("Host: a.mesh")
    const { messages, error } = readRequests([`${start}\r\n${lines.join("\r\n")}\r\n\r\n`])
    expect(error).toBeUndefined()
    const expected = forwarded === "nothing" ? [] : quoted(forwarded ?? "")
    const added = ["GET / HTTP/1.1", "host: a.mesh"].filter((line) => !expected.includes(line))
    const head = encodeRequestHead(messages[0]!.request.head)
    expect(without(head, added)).toEqual(expected)
  })

  it.each(table("Of responses:"))("of responses: %s", (received, forwarded) => {
    const lines = quoted(received)
    const start = lines[0]?.startsWith("HTTP/") ? lines.shift() : "HTTP/1.1 200 OK"
    if (!lines.some((line) => /^content-length:/i.test(line))) lines.push("Content-Length: 0")
    const { responses, error } = readResponses(
      ["GET"],
      [`${start}\r\n${lines.join("\r\n")}\r\n\r\n`]
    )
    expect(error).toBeUndefined()
    const expected = forwarded === "nothing" ? [] : quoted(forwarded ?? "")
    const added = ["HTTP/1.1 200 OK", "content-length: 0"].filter(
      (line) => !expected.includes(line)
    )
    const options = { method: "GET", version: 1, keepAlive: true } as const
    const head = encodeResponseHead(responses[0]!.response.head, options)
    expect(without(head, added)).toEqual(expected)
  })
})

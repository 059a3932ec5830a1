/**
 * The corpus of ambiguous messages against the readers: each is refused by the rule it breaks, in
 * one piece and byte by byte. And of unusual ones that are right. `test/integration/smuggling.test.ts` sends it through a mesh.
 */
import { describe, expect, it } from "vitest"
import { requestCorpus, responseCorpus } from "./Corpus.ts"
import { readRequests, readResponses } from "./Http1Recorder.ts"
import { unusualRequests } from "./UnusualRequests.ts"

describe.each(Object.entries(requestCorpus))("requests refused: %s", (_, cases) => {
  it.each(cases)("%s", (_name, bytes, rule) => {
    const whole = readRequests([bytes])
    expect(whole.error).toBe(rule)
    expect(whole.state).toBe("failed")
    expect(readRequests([...bytes]).error).toBe(rule)
    // Nothing that was smuggled in came out as a request.
    expect(whole.messages.map(({ request }) => request.head.target)).not.toContain("/admin")
  })
})

describe("requests understood", () => {
  const next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"

  it.each(unusualRequests)("$name", ({ bytes, head, body }) => {
    for (const pieces of [[bytes + next], [...(bytes + next)], [bytes, next]]) {
      const { messages, error, idle } = readRequests(pieces)
      expect(error).toBeUndefined()
      expect(idle).toBe(true)
      expect(messages).toHaveLength(2)
      expect(messages[0]).toMatchObject({ request: { head }, body })
      expect(messages[1]?.request.head.target).toBe("/next")
    }
  })
})

describe("responses refused", () => {
  it.each(responseCorpus)("%s", (_name, bytes, rule) => {
    expect(readResponses(["GET"], [bytes]).error).toBe(rule)
    expect(readResponses(["GET"], [...bytes]).error).toBe(rule)
  })
})

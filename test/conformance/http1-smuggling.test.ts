/**
 * The corpus of ambiguous messages against the readers: each is refused by the rule it breaks, in
 * one piece and byte by byte. `test/integration/smuggling.test.ts` sends it through a mesh.
 */
import { describe, expect, it } from "vitest"
import { requestCorpus, responseCorpus } from "./Corpus.ts"
import { readRequests, readResponses } from "./Http1Recorder.ts"

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

describe("responses refused", () => {
  it.each(responseCorpus)("%s", (_name, bytes, rule) => {
    expect(readResponses(["GET"], [bytes]).error).toBe(rule)
    expect(readResponses(["GET"], [...bytes]).error).toBe(rule)
  })
})

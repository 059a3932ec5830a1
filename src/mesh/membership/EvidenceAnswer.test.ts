import { describe, expect, it } from "vitest"
import { rpcMessageLimit } from "../host/RpcFrames.ts"
import { maxChainBytes } from "../trust/SignedChain.ts"
import { evidenceAnswer, evidenceLimits } from "./EvidenceAnswer.ts"

const statements = (count: number, bytes: number) =>
  Array.from({ length: count }, (_, n) => new Uint8Array(bytes).fill(n))

describe("the answer to a question for evidence", () => {
  it("holds all there is while that is little, from wherever it begins", () => {
    const all = statements(3, 1_000)
    expect(evidenceAnswer(all, 0)).toEqual(all)
    expect(evidenceAnswer(all, 2)).toEqual([all[2], all[0], all[1]])
    expect(evidenceAnswer([], 0)).toEqual([])
  })

  it.each([
    ["of the smallest certificates", 300],
    ["of the largest certificates", maxChainBytes + 700]
  ])("fits into a message, with statements %s", (_, bytes) => {
    const answer = evidenceAnswer(statements(1_000, bytes), 990)
    const total = answer.reduce((sum, statement) => sum + statement.length, 0)
    expect(answer.length).toBeGreaterThan(25)
    expect(answer.length).toBeLessThanOrEqual(evidenceLimits.statements)
    expect(total).toBeLessThan(rpcMessageLimit / 2 + 1)
  })
})

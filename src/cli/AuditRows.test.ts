import { describe, expect, it } from "vitest"
import { readAuditRows, renderAudit } from "./AuditRows.ts"

describe("the audit log for people", () => {
  const shown = (text: string) => renderAudit(readAuditRows(text), false)

  it("says when, what, whom, by whom and from where", () => {
    const line = JSON.stringify({
      ...{ time: "2026-01-02T03:04:05.000Z", node: "a", event: "access.denied", by: "orders" },
      ...{ from: "host-b", about: "payments", code: "payments-charge", count: 7, withinMs: 10_000 },
      more: { method: "GET", path: "/charge", list: ["x", "y"], none: [] }
    })
    expect(shown(`${line}\n`)).toBe(
      "2026-01-02T03:04:05.000Z  access.denied    payments  by orders  from host-b  payments-charge  method GET  path /charge  list x,y  none none  (7 more within 10s)\n"
    )
  })

  it("shows what is no line as it is, and nothing that would speak to the terminal", () => {
    expect(shown("torn {\n\u001b[2Jx\n")).toBe("torn {\nx\n")
    const evil = JSON.stringify({
      time: "t",
      node: "a",
      event: "e",
      about: "\u001b[31mred\nb\u0007"
    })
    expect(shown(evil)).toBe(`t  ${"e".padEnd(15)}  red b \n`)
  })
})

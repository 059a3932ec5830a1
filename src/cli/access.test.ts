/** `skein access …` against a made-up node, in this process, with what it prints caught. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { Context, Effect, Exit, Layer, Schema, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { parseAllDocuments } from "yaml"
import { AdminInvalid } from "../admin/AdminError.ts"
import { AdminListening, adminServer } from "../admin/AdminServer.ts"
import { AdminSource } from "../admin/AdminSource.ts"
import { formatAdminAddress } from "../config/HostPort.ts"
import { AccessBody } from "../schema/AccessSchema.ts"
import { ServiceName } from "../schema/NamesSchema.ts"
import { makeSampleSource } from "../testing/SampleSource.ts"
import { renderAnswer } from "./access.ts"
import { exitCodeOf } from "./CommandFailed.ts"
import { runSkein } from "./Skein.ts"

const scope = Effect.runSync(Scope.make())
const asked: Array<unknown> = []
const sample = makeSampleSource()
let admin = ""
let empty = ""

const serving = async (parts: Partial<AdminSource["Type"]>): Promise<string> => {
  const server = adminServer({ listen: { host: "127.0.0.1", port: 0 }, allowRemote: false }).pipe(
    Layer.provide(Layer.succeed(AdminSource, makeSampleSource(parts)))
  )
  const context = await Effect.runPromise(Scope.extend(Layer.build(server), scope))
  return formatAdminAddress(Context.get(context, AdminListening))
}

beforeAll(async () => {
  admin = await serving({
    access: {
      ...sample.access,
      check: (question) => {
        asked.push(question)
        return question.from === "Orders"
          ? new AdminInvalid({
              code: "invalid",
              message: '"Orders" is no caller',
              hint: "Write it."
            })
          : sample.access.check(question)
      }
    }
  })
  empty = await serving({
    access: {
      ...sample.access,
      lint: Effect.succeed({ findings: [], nodes: { answered: [], silent: [] } }),
      suggest: () =>
        Effect.succeed({
          nodes: { answered: ["host-a"], silent: [{ node: "host-b", reason: "gone" }] },
          ...{ left: 3, suggestions: [] }
        })
    }
  })
})

afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const skein = async (address: string, ...words: ReadonlyArray<string>) => {
  let stdout = ""
  let stderr = ""
  vi.spyOn(process.stdout, "write").mockImplementation((text, _encoding, done) => {
    stdout += String(text)
    done?.()
    return true
  })
  vi.spyOn(console, "error").mockImplementation((text) => {
    stderr += `${text}\n`
  })
  const exit = await Effect.runPromiseExit(
    runSkein(["node", "skein", "access", ...words, "--admin", address]).pipe(
      Effect.provide(NodeContext.layer)
    )
  )
  vi.restoreAllMocks()
  return { code: exitCodeOf(exit), stdout, stderr }
}

describe("skein access check", () => {
  it("says the decision, the rule, and which rules are about them", async () => {
    const { code, stderr, stdout } = await skein(
      admin,
      "check",
      "orders",
      "payments",
      "POST",
      "/charge"
    )
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toBe(
      [
        "allowed: rule payments-charge.allow[0] allows it",
        `caller: orders (spiffe://${"0f".repeat(16)}/service/orders)`,
        "rules about them:",
        "  → allow payments-charge.allow[0]  { from: orders, methods: [ POST ], path: /charge }",
        ""
      ].join("\n")
    )
    expect(asked.pop()).toEqual({ from: "orders", to: "payments", method: "POST", path: "/charge" })
  })

  it("ends with 1 when the call may not pass, and asks what it was asked", async () => {
    const words = ["web", "payments", "--host", "web-1", "--port", "8081"]
    const { code, stdout } = await skein(admin, "check", ...words)
    expect(code).toBe(1)
    expect(stdout).toBe(
      `denied: no rule allows it, and payments-charge names payments\ncaller: web (spiffe://${"0f".repeat(16)}/service/web)\n`
    )
    expect(asked.pop()).toEqual({ from: "web", to: "payments", host: "web-1", port: 8081 })
  })

  it("says what the rules do not know, and that they are all that was asked", async () => {
    const answer = await Effect.runPromise(
      sample.access.check({ from: "orders", to: ServiceName.make("payments") })
    )
    const shown = renderAnswer({ ...answer, notes: ["nobody offers payments"] }, false)
    expect(shown).toContain("allowed by the rules: rule payments-charge.allow[0] allows it\n")
    expect(shown).toContain("\nbut nobody offers payments\n")
  })

  it("gives programs all of it", async () => {
    const { stdout } = await skein(admin, "check", "orders", "payments", "-o", "json")
    expect(JSON.parse(stdout)).toMatchObject({
      decision: "allow",
      rule: "payments-charge.allow[0]"
    })
  })

  it("says what cannot be meant", async () => {
    const wrong = await skein(admin, "check", "Orders", "payments")
    expect([wrong.code, wrong.stderr]).toEqual([1, 'skein: "Orders" is no caller\n  Write it.\n'])
    expect((await skein(admin, "check", "orders")).stderr).toContain("access check needs TO")
    expect((await skein(admin, "check", "orders", "Payments")).code).toBe(2)
  })
})

describe("skein access lint", () => {
  it("lists what is wrong, and ends with 1", async () => {
    const { code, stderr, stdout } = await skein(admin, "lint")
    expect(code).toBe(1)
    expect(stderr).toBe(
      "warning: of 2 nodes asked, 1 did not say what they have seen:\nwarning:   host-b: no answer within 2 s\n"
    )
    expect(stdout).toMatch(
      /^shadowed +payments-charge\.allow\[1\] +payments-charge\.allow\[0\] allows all/m
    )
    const said: unknown = JSON.parse((await skein(admin, "lint", "-o", "json")).stdout)
    expect(said).toEqual(await Effect.runPromise(sample.access.lint))
  })

  it("ends with 0 when nothing is", async () => {
    const { code, stdout } = await skein(empty, "lint")
    expect([code, stdout]).toEqual([0, "Nothing to say about the access rules.\n"])
  })
})

describe("skein access suggest", () => {
  it("writes a document that can be applied", async () => {
    const { code, stderr, stdout } = await skein(admin, "suggest")
    expect([code, stderr]).toEqual([0, ""])
    expect(stdout).toContain("# 120 calls seen at host-a.")
    const documents = parseAllDocuments(stdout).map((document): unknown => document.toJS())
    expect(documents).toEqual([
      {
        ...{ kind: "access", name: "payments", service: "payments", mode: "audit" },
        allow: [{ from: "orders", methods: ["POST"], path: "/charge" }]
      }
    ])
    const body = { service: "payments", mode: "audit", allow: [{ from: "orders" }] }
    expect(Schema.is(Schema.encodedSchema(AccessBody))(body)).toBe(true)
  })

  it("says how to have something seen", async () => {
    const { code, stderr, stdout } = await skein(empty, "suggest", "ledger")
    expect([code, stdout]).toEqual([1, ""])
    expect(stderr).toContain("3 calls are not in it")
    expect(stderr).toContain("host-b: gone")
    expect(stderr).toContain("nothing was seen to be called of ledger while it was in audit")
    expect((await skein(empty, "suggest")).stderr).toContain("no service is in audit")
  })
})

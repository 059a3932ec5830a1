import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import type { MemberStatus, NodeStatus } from "../admin/AdminModel.ts"
import { sampleMembers, sampleNow, sampleServices, sampleStatus } from "../admin/SampleSource.ts"
import { type Check, failures, renderChecks } from "./Check.ts"
import { requireRuntime, runtimeCheck } from "./HostChecks.ts"
import { meshChecks, nodeChecks, serviceChecks, telemetryChecks } from "./NodeChecks.ts"

const find = (checks: ReadonlyArray<Check>, name: string): Check => {
  const check = checks.find((one) => one.name === name)
  if (check === undefined) throw new Error(`no check ${name}`)
  return check
}

const roomy = { limit: 65_536, open: 40, sockets: 60_864, socketsOpen: 12, problem: null }
const node = (change: Partial<NodeStatus>) => nodeChecks({ ...sampleStatus, ...change })
const certificate = (change: Partial<NodeStatus["certificate"]>) =>
  find(node({ certificate: { ...sampleStatus.certificate, ...change } }), "certificate")

const [self, other] = sampleMembers
if (self === undefined || other === undefined) throw new Error("the sample has two members")
const mesh = (change: Partial<MemberStatus>) =>
  meshChecks(sampleStatus, [self, { ...other, ...change }])

describe("the checks of skein doctor", () => {
  it("a healthy node has nothing but √", () => {
    const all = [...nodeChecks(sampleStatus), ...meshChecks(sampleStatus, sampleMembers)]
    expect(all.filter(({ state }) => state !== "ok")).toEqual([])
  })

  it.each<readonly [string, Check["state"], Check, RegExp]>([
    ["expired", "fail", certificate({ expiresAt: sampleNow - 60_000 }), /expired 1m ago/],
    ["renewal failed", "warn", certificate({ renewalError: "nobody" }), /failed: nobody/],
    ["renewal late", "warn", certificate({ renewAt: sampleNow - 7_200_000 }), /late by 2h/],
    ["draining", "warn", find(node({ state: "draining" }), "serving"), /is draining/],
    [
      "not ready",
      "fail",
      find(node({ readiness: [{ name: "mesh", ready: false, detail: "alone" }] }), "ready"),
      /mesh: alone/
    ],
    [
      "actor failed",
      "fail",
      find(
        node({
          actors: [
            { name: "x", state: "failed", restarts: 9, mailbox: 0, dropped: 0, lastError: "boom" }
          ]
        }),
        "actor x"
      ),
      /failed, 9 restarts, last error: boom/
    ],
    ["slow loop", "warn", find(node({ loopDelayMs: 250 }), "event loop"), /250ms late/],
    ["a dead member", "warn", find(mesh({ state: "dead" }), "members"), /host-b is dead/],
    ["no link", "warn", find(mesh({ link: "connecting" }), "links"), /none open to host-b/],
    [
      "stale records",
      "warn",
      find(mesh({ record: { ...other.record!, sync: "stale" } }), "catalogue"),
      /host-b: stale/
    ],
    [
      "a clock ahead",
      "warn",
      find(mesh({ record: { ...other.record!, signedAt: sampleNow + 65_000 } }), "clocks"),
      /host-b is 1m5s ahead/
    ],
    [
      "an unhealthy service",
      "fail",
      find(serviceChecks(sampleServices), "ledger-db"),
      /none of 1 endpoint is healthy/
    ],
    [
      "a collector that is down",
      "warn",
      find(
        telemetryChecks({
          ...sampleStatus,
          telemetry: { collector: "http://c", reachable: false, dropped: 4, lastError: "refused" }
        }),
        "traces"
      ),
      /http:\/\/c does not take them: refused \(4 dropped\)/
    ],
    [
      "a low limit of open files",
      "warn",
      find(
        node({ descriptors: { ...roomy, limit: 64, sockets: 26, problem: "low" } }),
        "open files"
      ),
      /40 of 64 in use, 12 of 26 .*the limit is low/
    ],
    [
      "a limit of open files that is nearly reached",
      "warn",
      find(node({ descriptors: { ...roomy, socketsOpen: 60_000 } }), "open files"),
      /60000 of 60864 .*wait or get overflow/
    ],
    [
      "a data directory that cannot be written",
      "warn",
      find(node({ dataDirProblem: "catalogue.bin cannot be written (ENOSPC)" }), "storage"),
      /ENOSPC/
    ],
    ["an old Node", "fail", runtimeCheck({ ...process.versions, node: "20.1.0" }), /Node 20/]
  ])("%s is %s, with a hint", (_, state, check, detail) => {
    expect(check.state).toBe(state)
    expect(check.detail).toMatch(detail)
    expect(check.hint).not.toBeNull()
  })

  it("a system that does not tell its limit is not asked about it", () => {
    const unknown = { ...roomy, limit: null, sockets: null }
    expect(node({ descriptors: unknown }).some(({ name }) => name === "open files")).toBe(false)
  })

  it("an old Node runs no node, and says why", () => {
    const old = Effect.runSync(Effect.flip(requireRuntime({ ...process.versions, node: "20.1.0" })))
    expect(old.message).toMatch(/^this is Node 20\.1\.0\. Skein needs Node 22 or newer\./)
    Effect.runSync(requireRuntime(process.versions))
  })

  it("a member that has left is nobody's trouble", () => {
    expect(mesh({ state: "left", link: "closed" }).every(({ state }) => state === "ok")).toBe(true)
  })

  it("prints groups, signs and hints, and counts the failures", () => {
    const groups = [{ name: "services", checks: serviceChecks(sampleServices) }]
    expect(failures(groups)).toBe(1)
    expect(renderChecks(groups, false)).toBe(
      [
        "services",
        "× ledger-db: none of 1 endpoint is healthy",
        "    Calls get no_healthy_endpoint. Are the programs running on host-b? See `skein endpoints ledger-db`.",
        "√ payments: 2 healthy endpoints on host-a, host-b",
        "",
        "1 failure: see × above.",
        ""
      ].join("\n")
    )
  })
})

import { describe, expect, it } from "vitest"
import type { FaultCode } from "../../model/Fault.ts"
import {
  classifyFault,
  classifyGrpc,
  classifyStatus,
  isWell,
  type Verdict,
  verdicts
} from "./Classifier.ts"

const fault = (code: FaultCode, sent: boolean) =>
  classifyFault({ code, sent, message: "", node: "n", service: undefined })

describe("Classifier", () => {
  it.each<[number, Verdict["name"]]>([
    [101, "success"],
    [200, "success"],
    [304, "success"],
    [404, "success"],
    [429, "rate_limited"],
    [500, "server_error"],
    [501, "success"],
    [502, "gateway_error"],
    [503, "gateway_error"],
    [504, "gateway_error"],
    [505, "success"]
  ])("status %i is %s", (status, name) => {
    expect(classifyStatus(status).name).toBe(name)
  })

  it.each<[string, Verdict["name"]]>([
    ["0", "success"],
    ["2", "server_error"],
    ["4", "timeout"],
    ["5", "success"],
    ["8", "rate_limited"],
    ["13", "server_error"],
    ["14", "gateway_error"],
    ["15", "server_error"],
    ["16", "success"],
    ["nonsense", "success"]
  ])("grpc-status %s is %s", (code, name) => {
    expect(classifyGrpc(code).name).toBe(name)
  })

  it.each<[FaultCode, boolean, Verdict["name"]]>([
    ["upstream_connect", false, "connect_failure"],
    ["draining", false, "connect_failure"],
    ["no_healthy_endpoint", false, "connect_failure"],
    ["route_not_found", false, "connect_failure"],
    ["overflow", false, "overflow"],
    ["overflow", true, "reset"],
    ["upstream_reset", true, "reset"],
    ["upstream_reset", false, "connect_failure"],
    ["upstream_timeout", true, "timeout"],
    ["upstream_timeout", false, "connect_failure"],
    ["rate_limited", false, "rate_limited"],
    ["denied", false, "refused"],
    ["bad_request", true, "refused"],
    ["client_gone", true, "refused"]
  ])("fault %s (sent: %s) is %s", (code, sent, name) => {
    expect(fault(code, sent).name).toBe(name)
  })

  it("counts what is the caller's own doing as a success of the endpoint", () => {
    expect(classifyStatus(404).success).toBe(true)
    expect(fault("denied", false)).toMatchObject({ success: true, conditions: [] })
  })

  it("tells answers in which the work was done from others", () => {
    expect([200, 204, 304, 101].every((status) => classifyStatus(status).served)).toBe(true)
    for (const status of [400, 404, 429, 500, 503]) {
      expect(classifyStatus(status).served).toBe(false)
    }
    expect(classifyGrpc("0").served).toBe(true)
    expect(classifyGrpc("5")).toMatchObject({ success: true, served: false, conditions: [] })
    expect(fault("upstream_connect", false)).toMatchObject({ success: false, served: false })
    expect(fault("denied", false).served).toBe(false)
  })

  it("counts 'too many requests' as a success, which another endpoint may spare", () => {
    expect(classifyStatus(429)).toMatchObject({ success: true, conditions: ["rate_limited"] })
  })
})

it("what is well is what nobody would try again, and did not fail by the request itself", () => {
  const well = Object.values(verdicts).filter(isWell)
  expect(well).toEqual([verdicts.success, verdicts.declined])
})

import { describe, expect, it } from "vitest"
import { ServiceName } from "../model/Names.ts"
import type { ListenSpec } from "../request/PlaneMessages.ts"
import { PlanePorts } from "./PlanePorts.ts"

const host = "127.0.0.1"
const proxy: ListenSpec = { kind: "proxy", host, port: 0 }
const service: ListenSpec = {
  ...{ kind: "http", host, port: 8080, remoteNames: undefined },
  service: ServiceName.make("web")
}

describe("the ports of a program's plane", () => {
  it("are kept for the mesh thread that asks for the same, with the number they got", () => {
    const ports = new PlanePorts()
    const { id } = ports.listen(1, proxy)
    const address = { host, port: 41_000 }
    ports.opened(id, address)
    ports.orphan()
    expect([ports.ofPlane(id), ports.ofMesh(1)]).toEqual([undefined, undefined])
    expect(ports.held).toEqual([proxy])
    expect(ports.listen(7, { ...proxy, port: 1 }).isNew).toBe(true)
    expect(ports.listen(8, proxy)).toEqual({ id, isNew: false, address })
    expect([ports.ofPlane(id), ports.ofMesh(8)]).toEqual([8, id])
    // Nobody else gets it meanwhile.
    expect(ports.listen(9, proxy).isNew).toBe(true)
  })

  it("that are for another service are others", () => {
    const ports = new PlanePorts()
    ports.listen(1, service)
    ports.orphan()
    expect(ports.listen(2, { ...service, service: ServiceName.make("api") }).isNew).toBe(true)
    expect(ports.listen(3, { ...service, remoteNames: ["host-a"] }).isNew).toBe(true)
    expect(ports.listen(4, service).isNew).toBe(false)
  })

  it("that are ending are taken over by nobody, and orphans are given up", () => {
    const ports = new PlanePorts()
    const ending = ports.listen(1, service).id
    const forgotten = ports.listen(2, proxy).id
    ports.end(ending, false)
    ports.orphan()
    expect(ports.held).toEqual([proxy])
    expect(ports.listen(1, service).isNew).toBe(true)
    expect(ports.takeOrphans()).toEqual([ending, forgotten])
    expect(ports.takeOrphans()).toEqual([])
  })
})

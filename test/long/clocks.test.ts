/**
 * A host whose clock is wrong: everybody says so, nothing more than its own news is lost, and it heals
 * within a minute of its clock.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { MemberStatus } from "../../src/admin/MemberModel.ts"
import type { NodeStatus } from "../../src/admin/NodeModel.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { FakeClock } from "../fixtures/FakeClock.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const clock = new FakeClock(mesh.directory)
let app: App
let a: Host
let b: Host
let c: Host

const offers = (...names: ReadonlyArray<string>) =>
  names.map((name) => ({ name, address: app.address }))

beforeAll(async () => {
  app = await httpApp("app")
  a = await mesh.first("host-a")
  b = await mesh.join("host-b")
  c = await mesh.join("host-c", {
    runtime: [...clock.runner, process.execPath],
    services: offers("payments")
  })
  await calls(a, "payments", "200")
  await agree()
})

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

const call = async (by: Host, service: string): Promise<string> => {
  const args = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-x", by.proxy]
  return (await run(program("curl"), [...args, `http://${service}.mesh/`])).stdout
}

const calls = (by: Host, service: string, status: string, seconds = 20) =>
  until(
    `${by.name} gets ${status} of ${service}`,
    async () => ((await call(by, service)) === status ? true : undefined),
    seconds
  )

// The admin API's own types: the test reads what the commands read.
const status = async (host: Host) => (await host.api("status")) as NodeStatus
const member = async (host: Host, name: string) =>
  ((await host.api("members")) as ReadonlyArray<MemberStatus>).find(({ node }) => node === name)

const clocksLine = async (host: Host): Promise<string> => {
  const { stdout } = await skein("doctor", "--admin", host.admin)
  return stdout.split("\n").find((line) => line.includes("clocks:")) ?? stdout
}

const says = (host: Host, what: RegExp, seconds = 20) =>
  until(
    `doctor on ${host.name} says ${what}`,
    async () => {
      const line = await clocksLine(host)
      if (!what.test(line)) throw new Error(line)
      return line
    },
    seconds
  )

const logs = (host: Host, what: RegExp) =>
  until(`${host.name} logs ${what}`, () => what.test(host.process?.output() ?? "") || undefined)

/** All is well, in everybody's eyes. */
const agree = async (seconds = 60) => {
  for (const host of [a, b, c]) {
    await until(
      `${host.name} finds all alive and no clock off`,
      async () => {
        const members = (await host.api("members")) as ReadonlyArray<MemberStatus>
        const { clock } = await status(host)
        const alive = members.filter(({ state }) => state === "alive").length
        const isWell =
          alive === 3 && clock.measured === 2 && Math.abs(clock.aheadMs ?? Infinity) < 5_000
        if (!isWell || clock.refused.length > 0) throw new Error(JSON.stringify({ alive, clock }))
        return true
      },
      seconds
    )
  }
}

/** As after a loss of power: the others hold its last record, in which it serves. */
const restart = async (offset: string, ...services: ReadonlyArray<string>) => {
  await c.kill()
  clock.set(offset)
  c.options = { ...c.options, services: offers(...services) }
  c.writeConfig()
  await c.up()
}

describe("a host whose clock is wrong", () => {
  it("by half an hour ahead is told of by everybody, and heals when the clock is set", async () => {
    await restart("+30m", "payments", "orders")
    await says(a, /^× clocks: .*host-c is 30m ahead.*refused.*record of host-c/)
    await says(c, /^× clocks: this host's is 30m ahead, say 2 of 2 members/)
    const ready = await fetch(`http://${c.admin}/ready`)
    expect(ready.status).toBe(503)
    expect(await ready.text()).toContain(
      "the clock of this host is 30 min ahead of those of 2 of 2"
    )
    expect(await call(a, "orders")).toBe("404")
    const seen = await member(a, "host-c")
    expect(Math.abs((seen?.clockAheadMs ?? 0) - 1_800_000)).toBeLessThan(5_000)
    await until("host-a knows who is in step with it", async () => {
      const { stdout } = await skein("peers", "--admin", a.admin)
      const stale = /^host-c +STALE .* 1 of 256 parts of .* differ.*; it has record \d+\.\d+$/m
      if (!/^host-b +SYNCED/m.test(stdout) || !stale.test(stdout)) throw new Error(stdout)
      return true
    })
    const bound = Date.now() + 600_000
    expect(seen?.incarnation).toBeLessThan(bound)
    const metrics = await (await fetch(`http://${a.admin}/metrics`)).text()
    expect(metrics).toMatch(/^skein_peer_clock_offset_seconds\{node="host-c"\} (1799|1800)/m)
    expect(metrics).toMatch(/^skein_refused_by_time_total\{node="host-c",what="record"\} \d/m)
    const told = a.process?.output().match(/host-c .*its record is refused because of time/g)
    expect(told?.length).toBe(1)
    await logs(c, /the clock of this host is .* ahead of those of 2 of 2 other nodes/)

    clock.set("+0")
    await calls(a, "orders", "200", 60)
    await agree()
    expect(await clocksLine(a)).toMatch(/^√ clocks/)
    expect(await clocksLine(c)).toMatch(/^√ clocks/)
    await logs(a, /its record is no longer refused because of time/)
    await logs(c, /the clock of this host agrees with the others again/)
  })

  it("by two hours behind keeps what it knew, and heals when it starts again by a right one", async () => {
    await restart("-2h", "payments", "orders")
    // Certificates of the others are not valid yet by its clock; its services are known all the same.
    await says(c, /^× clocks: .*refused because of time: .*certificate of host-/)
    await says(c, /^× clocks: this host's is 2h behind, say 2 of 2 members/)
    await says(a, /^× clocks: .*host-c is 2h behind.*certificate of host-c/)
    const known = (await c.api("members")) as ReadonlyArray<MemberStatus>
    expect(known.map(({ node }) => node).sort()).toEqual(["host-a", "host-b", "host-c"])
    expect(c.process?.output()).toMatch(/what this node knew when it last ran is up to .* ahead/)
    await restart("+0", "payments", "orders", "search")
    await calls(a, "search", "200", 60)
    await agree()
  })

  it("by a day and an hour ahead is told of, and heals when the clock is set", async () => {
    await restart("+25h", "payments", "orders", "stock")
    await says(a, /^× clocks: .*host-c is 1d1h ahead.*certificate of host-c/)
    await says(c, /^× clocks: this host's is 1d1h ahead, say 2 of 2 members/)
    clock.set("+0")
    await calls(a, "stock", "200", 60)
    await agree()
  })

  it("by a day and an hour behind is told of, and heals when the clock is set", async () => {
    await restart("-25h", "payments", "orders", "stock", "mail")
    await says(a, /^× clocks: .*host-c is 1d1h behind.*certificate of host-c/)
    await says(c, /^× clocks: this host's is 1d1h behind, say 2 of 2 members.*certificate of host-/)
    clock.set("+0")
    await calls(a, "mail", "200", 60)
    await agree()
  })

  it("while it runs is told of, and heals, without a call of others failing", async () => {
    clock.set("+30m")
    await says(a, /^× clocks: .*host-c is 30m ahead/)
    expect(await call(a, "payments")).toBe("200")
    clock.set("-2h")
    await says(c, /^× clocks: this host's is 2h behind/)
    expect(await call(b, "payments")).toBe("200")
    clock.set("+0")
    await agree()
  })
})

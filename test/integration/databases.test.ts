/** PostgreSQL and Redis, with their own clients and load programs, behind fixed TCP ports. */
import { mkdtempSync, rmSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { type Postgres, psql, startPostgres } from "../fixtures/Postgres.ts"
import { freePort, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const scratch = mkdtempSync(join(tmpdir(), "skein-databases-"))
const ports = { pg: 0, impatient: 0, redis: 0, halves: 0 }
let host: Host
let postgres: Postgres
let directPg = 0
let directRedis = 0

const redisCli = (port: number, input: string, ...args: ReadonlyArray<string>) =>
  run(program("redis-cli"), ["-h", "127.0.0.1", "-p", String(port), ...args], { input })

/** What a program that closes its half first has read after that. */
const afterFin = Promise.withResolvers<number>()
const halves = createServer({ allowHalfOpen: true }, (socket: Socket) => {
  let bytes = 0
  socket.on("error", () => socket.destroy())
  socket.on("data", (chunk) => {
    bytes += chunk.length
  })
  socket.on("end", () => afterFin.resolve(bytes))
  socket.end("I have nothing more to say")
})

beforeAll(async () => {
  directRedis = await freePort()
  // So that a client that has gone is noticed in the middle of a query.
  postgres = await startPostgres({ settings: { client_connection_check_interval: "50ms" } })
  directPg = postgres.port
  start(program("redis-server"), [
    ...["--port", String(directRedis), "--bind", "127.0.0.1", "--save", "", "--dir", scratch]
  ])
  const halvesPort = await freePort()
  await new Promise<void>((resolve) => halves.listen(halvesPort, "127.0.0.1", resolve))
  for (const name of ["pg", "impatient", "redis", "halves"] as const) ports[name] = await freePort()
  host = await mesh.first("host-a", {
    upstreams: Object.entries(ports).map(([service, port]) => ({
      service,
      listen: `127.0.0.1:${port}`,
      protocol: "tcp"
    })),
    policies: { impatient: { timeout: { tcpIdle: "500ms" } } }
  })
  await mesh.join("host-b", {
    services: [
      { name: "pg", address: `127.0.0.1:${directPg}`, protocol: "tcp" },
      { name: "impatient", address: `127.0.0.1:${directPg}`, protocol: "tcp" },
      { name: "redis", address: `127.0.0.1:${directRedis}`, protocol: "tcp" },
      { name: "halves", address: `127.0.0.1:${halvesPort}`, protocol: "tcp" }
    ]
  })
  await until("PostgreSQL answers through the mesh", async () =>
    (await psql(ports.pg, "select 1")).stdout === "1\n" ? true : undefined
  )
  await until("Redis answers through the mesh", async () =>
    (await redisCli(ports.redis, "", "ping")).stdout === "PONG\n" ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  await postgres?.stop()
  halves.close()
  await stopAll()
  rmSync(scratch, { recursive: true, force: true })
})

describe("PostgreSQL", () => {
  it("answers psql: a result of 20 MB, byte for byte as without the mesh", async () => {
    const sql = "select i, md5(i::text), repeat('x', 900) from generate_series(1, 21000) i"
    const through = await psql(ports.pg, sql)
    const direct = await psql(directPg, sql)
    expect(through.code).toBe(0)
    expect(through.stdout.length).toBeGreaterThan(19_000_000)
    expect(through.stdout === direct.stdout).toBe(true)
  })

  it("takes 10 MB by COPY from a client's stdin", async () => {
    const rows = 100_000
    const table = await psql(ports.pg, "create table copied (i int, t text)")
    expect(table.stderr).toBe("")
    const input = Array.from({ length: rows }, (_, i) => `${i}\t${"y".repeat(100)}\n`).join("")
    const args = ["-h", "127.0.0.1", "-p", String(ports.pg), "-U", "postgres", "-X"]
    const copied = await run(program("psql"), [...args, "-c", "\\copy copied from stdin"], {
      input
    })
    expect(copied.stdout).toContain(`COPY ${rows}`)
    const { stdout } = await psql(directPg, "select count(*), sum(length(t)) from copied")
    expect(stdout).toBe(`${rows}|${rows * 100}\n`)
  })

  it("serves pgbench with 8 clients, and loses no transaction", async () => {
    const pgbench = (...args: ReadonlyArray<string>) =>
      run(program("pgbench"), [
        ...["-h", "127.0.0.1", "-p", String(ports.pg), "-U", "postgres", ...args, "postgres"]
      ])
    const made = await pgbench("-i", "-q", "-s", "1")
    expect(made.code, made.stderr).toBe(0)
    // A connection per transaction, then prepared statements on kept ones, several at once.
    for (const mode of [
      ["-C", "-t", "10"],
      ["-M", "prepared", "-t", "100"]
    ]) {
      const { stdout, stderr } = await pgbench("-n", "-c", "8", "-j", "2", ...mode)
      const each = Number(mode.at(-1))
      expect(stdout, stderr).toContain(`actually processed: ${8 * each}/${8 * each}`)
      expect(stdout).toContain("number of failed transactions: 0 (0.000%)")
    }
    const { stdout } = await psql(directPg, "select count(*) from pgbench_history")
    expect(stdout).toBe("880\n")
  })

  const sleepers = async (): Promise<number> => {
    const sql =
      "select count(*) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()"
    return Number((await psql(directPg, sql)).stdout)
  }

  it("waits for a query that takes longer than nothing moves, unless the policy says no", async () => {
    const patient = await psql(ports.pg, "select 'slept' from pg_sleep(1.5)")
    expect(patient.stdout).toBe("slept\n")
    const cut = await psql(ports.impatient, "select 'slept' from pg_sleep(60)")
    expect(cut.code).not.toBe(0)
    expect(cut.stderr).toMatch(/connection/i)
    await until("the query has ended", async () => ((await sleepers()) === 0 ? true : undefined))
  })

  it("ends the query of a client that was killed", async () => {
    const client = start(program("psql"), [
      ...["-h", "127.0.0.1", "-p", String(ports.pg), "-U", "postgres", "-X"],
      ...["-c", "select pg_sleep(60)"]
    ])
    await until("the query runs", async () => ((await sleepers()) === 1 ? true : undefined))
    await client.stop("SIGKILL")
    await until("the query has ended", async () => ((await sleepers()) === 0 ? true : undefined))
  })
})

describe("Redis", () => {
  it.each([
    ["one command at a time", ["-n", "2000", "-c", "20"]],
    ["16 commands pipelined", ["-n", "50000", "-c", "20", "-P", "16"]],
    ["values of 64 KiB", ["-n", "500", "-c", "8", "-d", "65536"]]
  ])("serves redis-benchmark: %s", async (_name, args) => {
    const { code, stdout, stderr } = await run(program("redis-benchmark"), [
      ...["-h", "127.0.0.1", "-p", String(ports.redis), "-t", "set,get,lpush,mset", "--csv"],
      ...args
    ])
    expect(stderr).not.toMatch(/error|closed/i)
    expect(code).toBe(0)
    for (const test of ["SET", "GET", "LPUSH", "MSET"]) expect(stdout).toContain(`"${test}`)
  })

  it("takes 50,000 commands by redis-cli --pipe", async () => {
    expect((await redisCli(directRedis, "", "flushall")).stdout).toBe("OK\n")
    const commands = Array.from({ length: 50_000 }, (_, i) => `SET key:${i} ${i}\r\n`).join("")
    const { stdout } = await redisCli(ports.redis, commands, "--pipe")
    expect(stdout).toContain("errors: 0, replies: 50000")
    expect((await redisCli(directRedis, "", "dbsize")).stdout).toBe("50000\n")
  })

  it("carries blocking commands and publish/subscribe", async () => {
    const popped = redisCli(ports.redis, "", "blpop", "queue", "10")
    const heard = redisCli(ports.redis, "", "--csv", "subscribe", "news")
    await until("both wait", async () => {
      const { stdout } = await redisCli(directRedis, "", "client", "list")
      return /cmd=blpop/.test(stdout) && /cmd=subscribe/.test(stdout) ? true : undefined
    })
    await redisCli(ports.redis, "", "rpush", "queue", "job")
    expect((await popped).stdout).toBe("queue\njob\n")
    expect((await redisCli(ports.redis, "", "publish", "news", "hello")).stdout).toBe("1\n")
    await redisCli(directRedis, "", "client", "kill", "type", "pubsub")
    expect((await heard).stdout).toContain('"message","news","hello"')
  })
})

describe("a program that closes its half first", () => {
  it("still receives all that the client sends", async () => {
    const size = 5 * 1024 * 1024
    const socket = connect({ port: ports.halves, host: "127.0.0.1", allowHalfOpen: true })
    let text = ""
    socket.on("data", (chunk) => {
      text += chunk.toString()
    })
    await new Promise<void>((resolve, reject) => {
      socket.on("end", resolve)
      socket.on("error", reject)
    })
    expect(text).toBe("I have nothing more to say")
    socket.end(Buffer.alloc(size))
    expect(await afterFin.promise).toBe(size)
    await until("the tunnel is closed", async () => {
      const endpoints = JSON.stringify(await host.api("services/halves/endpoints"))
      expect(endpoints).toContain('"inFlight":')
      return /"inFlight":[1-9]/.test(endpoints) ? undefined : true
    })
  })
})

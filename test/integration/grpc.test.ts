/** gRPC through two nodes, client and program by @grpc/grpc-js. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Metadata, type StatusObject, status } from "@grpc/grpc-js"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type GrpcShop, GrpcShopClient, grpcShop } from "../fixtures/GrpcShop.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let shop: GrpcShop
let a: Host
let client: GrpcShopClient
let port: number

beforeAll(async () => {
  shop = await grpcShop("one")
  port = await freePort()
  a = await mesh.first("host-a", {
    upstreams: [{ service: "payments", listen: `127.0.0.1:${port}`, protocol: "grpc" }],
    policies: {
      payments: {
        retry: { attempts: 2, on: ["gateway_error", "aborted"], methods: ["POST"] }
      }
    }
  })
  await mesh.join("host-b", {
    services: [
      {
        ...{ name: "payments", address: `127.0.0.1:${shop.port}`, protocol: "grpc" },
        health: { grpc: { service: "shop.v1.Payments", interval: "100ms" } }
      },
      { name: "down", address: `127.0.0.1:${await freePort()}`, protocol: "grpc" }
    ]
  })
  client = new GrpcShopClient(`127.0.0.1:${port}`)
  await until("host-a sees payments", async () =>
    (await client.charge("ready")).code === status.OK ? true : undefined
  )
})

afterAll(async () => {
  client.close()
  await mesh.stop()
  shop.close()
  await stopAll()
})

describe("unary calls", () => {
  it("bring message, metadata and trailers both ways", async () => {
    const metadata = new Metadata()
    metadata.set("x-asks", "a client")
    metadata.set("x-bytes-bin", Buffer.of(0, 1, 255))
    const answer = await client.charge("5 euros", {}, metadata)
    expect(answer).toMatchObject({ code: status.OK, message: "one: 5 euros" })
    expect(answer.head?.get("x-head")).toEqual(["at the beginning"])
    expect(answer.trailers?.get("x-trailer")).toEqual(["at the end"])
    const seen = shop.seen?.metadata
    expect(seen?.get("x-asks")).toEqual(["a client"])
    expect(seen?.get("x-bytes-bin")).toEqual([Buffer.of(0, 1, 255)])
    expect(seen?.get("via")).toEqual(["2.0 host-a"])
    expect(seen?.get("skein-caller")).toHaveLength(1)
  })

  it("by the proxy's port name their service by authority", async () => {
    const proxied = new GrpcShopClient(a.proxy, "payments.mesh")
    expect(await proxied.charge("x")).toMatchObject({ code: status.OK, message: "one: x" })
    proxied.close()
  })

  it("fail as the program says, with nothing but trailers", async () => {
    expect(await client.charge("fail 9 not now: 50 % off")).toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: "not now: 50 % off"
    })
  })

  it("bring large messages", async () => {
    const text = "x".repeat(3 * 1024 * 1024)
    const { code, message } = await client.charge(text)
    expect(code).toBe(status.OK)
    expect(message).toBe(`one: ${text}`)
  })

  it("are many at a time", async () => {
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, n) => client.charge(`call ${n}`))
    )
    expect(answers.map(({ message }) => message)).toEqual(answers.map((_, n) => `one: call ${n}`))
  })

  it("are cancelled at the program when their client cancels", async () => {
    const { cancelled: before, seen } = shop
    const { code } = await client.charge("hang", {}, undefined, (call) => {
      void until("the program has it", async () => {
        if (shop.seen === seen) return undefined
        call.cancel()
        return true
      })
    })
    expect(code).toBe(status.CANCELLED)
    await until("the program hears of it", async () => (shop.cancelled > before ? true : undefined))
  })
})

describe("what the mesh answers", () => {
  it("is a status of gRPC, with the fault's code in metadata", async () => {
    const down = new GrpcShopClient(a.proxy, "down.mesh")
    const answer = await down.charge("x")
    expect(answer.code).toBe(status.UNAVAILABLE)
    expect(answer.details).toContain("could not be connected to")
    expect(answer.trailers?.get("skein-error")).toEqual(["upstream_connect"])
    expect(answer.trailers?.get("skein-node")).toEqual(["host-b"])
    down.close()
    const nobody = new GrpcShopClient(a.proxy, "nobody.mesh")
    const missing = await nobody.charge("x")
    expect(missing.code).toBe(status.UNIMPLEMENTED)
    expect(missing.trailers?.get("skein-error")).toEqual(["route_not_found"])
    nobody.close()
  })

  it("comes when the deadline is over, and the program is told how much was left", async () => {
    const answer = await client.charge("x", { deadline: Date.now() + 5_000 })
    expect(answer.code).toBe(status.OK)
    const left = (shop.seen?.deadline ?? 0) - Date.now()
    expect(left).toBeGreaterThan(1_000)
    expect(left).toBeLessThanOrEqual(5_000)
    expect(shop.seen?.metadata.get("skein-deadline")).toHaveLength(1)
    const before = shop.cancelled
    const late = await client.charge("hang", { deadline: Date.now() + 300 })
    expect(late.code).toBe(status.DEADLINE_EXCEEDED)
    await until("the program hears of it", async () => (shop.cancelled > before ? true : undefined))
  })
})

describe("grpc.health.v1", () => {
  it("decides whether a program is called", async () => {
    shop.health.set("shop.v1.Payments", 2)
    await until("it is not", async () => {
      const { code, trailers } = await client.charge("x")
      if (code === status.OK) return undefined
      expect(code).toBe(status.UNAVAILABLE)
      expect(trailers?.get("skein-error")).toEqual(["no_healthy_endpoint"])
      return true
    })
    shop.health.clear()
    await until("it is again", async () =>
      (await client.charge("x")).code === status.OK ? true : undefined
    )
  })
})

describe("a status of gRPC", () => {
  const metrics = async (): Promise<string> => (await fetch(`http://${a.admin}/metrics`)).text()

  it("that says another try may do is retried where the policy says so", async () => {
    expect(await client.charge("flaky 14 once")).toMatchObject({
      code: status.OK,
      message: "one: flaky 14 once"
    })
    expect(await client.charge("flaky 9 once")).toMatchObject({ code: status.FAILED_PRECONDITION })
    expect(await metrics()).toMatch(
      /skein_retries_total\{service="payments",reason="gateway_error"\} 1\n/
    )
  })

  it("of any name, and when the program says", async () => {
    expect(await client.charge("flaky 10 again", {})).toMatchObject({ code: status.OK })
    const before = Date.now()
    expect(await client.charge("flaky 14 pushback=300")).toMatchObject({ code: status.OK })
    expect(Date.now() - before).toBeGreaterThanOrEqual(300)
    expect(shop.seen?.metadata.get("grpc-previous-rpc-attempts")).toEqual(["1"])
    const answer = await client.charge("flaky 14 pushback=-1")
    expect(answer).toMatchObject({ code: status.UNAVAILABLE })
    expect(answer.trailers?.get("grpc-retry-pushback-ms")).toEqual(["-1"])
  })

  it("is what calls are counted by", async () => {
    await client.charge("fail 13 inside")
    const text = await metrics()
    for (const [name, labels] of [
      ["skein_grpc_calls_total", 'grpc_status="INTERNAL"'],
      ["skein_grpc_calls_total", 'grpc_status="OK"'],
      ["skein_requests_total", 'result="failure",status_class="2xx"']
    ] as const) {
      expect(text).toMatch(
        new RegExp(`${name}\\{direction="outbound",service="payments",[^}]*${labels}`)
      )
    }
  })
})

describe("streams", () => {
  it("of the program's come in order, to their end", async () => {
    const call = client.watch(1_000, 1_000)
    let count = 0
    for await (const message of call) {
      expect(message).toHaveLength(1_000)
      count++
    }
    expect(count).toBe(1_000)
  })

  it("of the client's are counted", async () => {
    const { answer, call } = client.upload()
    for (let n = 0; n < 1_000; n++) call.write(`message ${n}`)
    call.end()
    expect(await answer).toBe("1000")
  })

  it("in both directions at once are answered message by message", async () => {
    const call = client.chat()
    const heard: Array<string> = []
    const next = (): Promise<string> =>
      new Promise((resolve) => call.once("data", (message: string) => resolve(message)))
    for (let n = 0; n < 20; n++) {
      const answer = next()
      call.write(`word ${n}`)
      heard.push(await answer)
    }
    expect(heard).toEqual(Array.from({ length: 20 }, (_, n) => `one: word ${n}`))
    call.end()
    call.resume()
    await new Promise((resolve) => call.once("status", resolve))
  })

  it("are cancelled at the program when their client cancels", async () => {
    const before = shop.cancelled
    const call = client.watch(1_000_000, 1_000)
    call.once("data", () => call.cancel())
    const ended = await new Promise<{ code: number }>((resolve) => {
      call.on("error", () => undefined)
      call.on("status", resolve)
    })
    expect(ended.code).toBe(status.CANCELLED)
    await until("the program hears of it", async () => (shop.cancelled > before ? true : undefined))
  })
})

describe("access rules", () => {
  it("let through the methods they name, and deny others in words of gRPC", async () => {
    const file = join(mesh.directory, "rules.yaml")
    writeFileSync(
      file,
      "kind: access\nname: payments\nservice: payments\nallow: [{ from: '*', grpc: shop.v1.Payments/Charge }]\n"
    )
    const { end, stderr } = await skein("apply", "-f", file, "--data-dir", a.dataDir)
    expect(end.code, stderr).toBe(0)
    await until("Watch is denied", async () => {
      const call = client.watch(1, 1)
      const ended = new Promise<StatusObject>((resolve) => call.on("status", resolve))
      call.on("error", () => undefined)
      call.resume()
      const { code, details, metadata } = await ended
      if (code !== status.PERMISSION_DENIED) return undefined
      expect(details).toContain("may not POST /shop.v1.Payments/Watch of payments")
      expect(metadata.get("skein-error")).toEqual(["denied"])
      return true
    })
    expect(await client.charge("allowed")).toMatchObject({ code: status.OK })
  })
})

/** The shop's programs as processes of their own, behind a proxy that stands in for a mesh. */
import { type ChildProcess, spawn } from "node:child_process"
import { createServer, request, type Server } from "node:http"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Customer } from "./demo/Customer.ts"

const children: Array<ChildProcess> = []
const addresses = new Map<string, string>()
/** `service traceparent` of each call the proxy carried. */
const carried: Array<string> = []
let proxy: Server
let proxyAddress = ""

const start = (service: string, env: NodeJS.ProcessEnv): Promise<string> =>
  new Promise((resolve, reject) => {
    const script = join(import.meta.dirname, `${service}.js`)
    const child = spawn(process.execPath, [script, "--port", "0", "--name", `${service}-1`], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"]
    })
    children.push(child)
    child.on("error", reject)
    child.on("exit", (code) => reject(new Error(`${service} ended with ${code}`)))
    child.stdout.setEncoding("utf8").once("data", (text: string) => {
      const address = / listens on (\S+)/.exec(text)?.[1]
      if (address === undefined) reject(new Error(text))
      else resolve(address)
    })
  })

beforeAll(async () => {
  proxy = createServer((incoming, response) => {
    const url = new URL(incoming.url ?? "")
    const service = url.hostname.replace(/\.mesh$/, "")
    carried.push(`${service} ${incoming.headers["traceparent"]} ${incoming.headers["tracestate"]}`)
    const [hostname, port] = addresses.get(service)?.split(":") ?? []
    const { method, headers } = incoming
    const sent = request({ hostname, port, method, headers, path: url.pathname }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    sent.on("error", (cause) => response.writeHead(502).end(JSON.stringify(cause.message)))
    incoming.pipe(sent)
  })
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
  const at = proxy.address()
  if (typeof at === "object" && at !== null) proxyAddress = `127.0.0.1:${at.port}`
  const services = ["order", "inventory", "payment", "shipping"]
  const env = { HTTP_PROXY: `http://${proxyAddress}` }
  const started = await Promise.all(services.map((service) => start(service, env)))
  for (let i = 0; i < services.length; i++) addresses.set(services[i]!, started[i]!)
})

afterAll(async () => {
  const ended = children.map(
    (child) =>
      new Promise((resolve) => {
        child.removeAllListeners("exit").once("exit", resolve)
        child.kill("SIGTERM")
      })
  )
  await Promise.all(ended)
  proxy.closeAllConnections()
  proxy.close()
})

const ask = (service: string, path: string, method = "GET", body?: unknown) =>
  fetch(`http://${addresses.get(service)}${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })

describe("the shop", () => {
  test("every program says that it is well", async () => {
    for (const service of addresses.keys()) {
      expect((await ask(service, "/healthz")).status).toBe(200)
      expect((await ask(service, "/nothing")).status).toBe(404)
    }
  })

  test("an order goes through all services and hands on the trace it came with", async () => {
    const customer = new Customer(proxyAddress)
    carried.length = 0
    const { order, trace } = await Effect.runPromise(customer.tracedOrder)
    customer.close()
    expect([order.inventory, order.payment, order.shipping]).toEqual([
      "inventory-1",
      "payment-1",
      "shipping-1"
    ])
    expect(carried.map((line) => line.split(" ")[0])).toEqual([
      "order",
      "inventory",
      "payment",
      "shipping"
    ])
    for (const line of carried) expect(line).toContain(`00-${trace}-`)
    expect(customer.tally.confirmed).toBe(1)
    expect(customer.tally.by.get("payment-1")).toBe(1)
  })

  test("repeating a step changes nothing", async () => {
    const send = async () =>
      (await ask("shipping", "/shipments/x-1", "PUT", { item: "tea" })).json()
    expect(await send()).toEqual(await send())
  })

  test("a payment in chaos fails the order, and the customer hears where", async () => {
    await ask("payment", "/chaos", "POST", { failRate: 1 })
    const customer = new Customer(proxyAddress)
    const failed = await Effect.runPromise(Effect.flip(customer.order()))
    expect(failed.message).toContain("payment-1 is out of order")
    expect(customer.tally.failed).toBe(1)
    expect(customer.tally.firstFailure).toBe(failed.message)
    await ask("payment", "/chaos", "POST", { failRate: 0 })
    await Effect.runPromise(customer.order())
    expect(customer.tally.confirmed).toBe(1)
    customer.close()
  })
})

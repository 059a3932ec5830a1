/**
 * Takes money: PUT /payments/ORDER with an item. The same order is charged once. To see what a
 * sick instance does to its callers:
 *
 *     curl -d '{"latencyMs":300,"failRate":1}' http://ADDRESS/chaos
 */
import { instance, serve } from "./Program.js"

const name = instance("payment")
const charged = new Map()
const kept = 10_000
let chaos = { latencyMs: 0, failRate: 0 }
let failed = 0

serve(name, async ({ method, path, body }) => {
  if (method === "POST" && path === "/chaos") {
    chaos = { latencyMs: Number(body.latencyMs ?? 0), failRate: Number(body.failRate ?? 0) }
    return [200, chaos]
  }
  if (method === "GET" && path === "/chaos") return [200, { ...chaos, failed }]
  const order = /^\/payments\/([\w-]+)$/.exec(path)?.[1]
  if (method !== "PUT" || order === undefined) return undefined
  if (chaos.latencyMs > 0) await new Promise((wake) => setTimeout(wake, chaos.latencyMs))
  if (Math.random() < chaos.failRate) {
    failed++
    return [500, { error: `${name} is out of order` }]
  }
  charged.set(order, charged.get(order) ?? body.item)
  if (charged.size > kept) charged.delete(charged.keys().next().value)
  return [200, { by: name, charged: charged.get(order) }]
})

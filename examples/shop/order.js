/**
 * Takes orders: reserves the item, takes the money, sends the parcel. Every step is a PUT named
 * by the order's id, so that it may safely be sent twice.
 *
 *     curl -d '{"item":"tea"}' http://ADDRESS/orders
 */
import { randomUUID } from "node:crypto"
import { call, instance, serve } from "./Program.js"

const domain = process.env.SERVICE_DOMAIN ?? "mesh"
const orders = new Map()
const kept = 1_000

const steps = [
  ["inventory", "reservations"],
  ["payment", "payments"],
  ["shipping", "shipments"]
]

const place = async (id, item, headers) => {
  const order = { order: id, item, status: "confirmed" }
  for (const [service, path] of steps) {
    const url = `http://${service}.${domain}/${path}/${id}`
    const { status, body } = await call("PUT", url, { item }, headers)
    if (status >= 400) return { ...order, status: "failed", at: service, because: body }
    order[service] = body
  }
  return order
}

serve(instance("order"), async ({ method, path, body, headers }) => {
  if (method === "POST" && path === "/orders") {
    const order = await place(randomUUID(), body.item ?? "tea", headers)
    orders.set(order.order, order)
    if (orders.size > kept) orders.delete(orders.keys().next().value)
    return [order.status === "confirmed" ? 201 : 502, order]
  }
  if (method === "GET" && path === "/orders") return [200, [...orders.values()].slice(-20)]
  if (method === "GET" && path === "/") {
    return [200, { shop: "POST /orders with an item, GET /orders for the latest" }]
  }
})

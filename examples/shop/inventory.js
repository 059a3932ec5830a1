/** Keeps the stock: PUT /reservations/ORDER with an item. The same order is reserved once. */
import { instance, serve } from "./Program.js"

const name = instance("inventory")
const reserved = new Map()
const kept = 10_000

serve(name, ({ method, path, body }) => {
  const order = /^\/reservations\/([\w-]+)$/.exec(path)?.[1]
  if (method !== "PUT" || order === undefined) return undefined
  if (!reserved.has(order)) reserved.set(order, body.item)
  if (reserved.size > kept) reserved.delete(reserved.keys().next().value)
  return [200, { by: name, reserved: reserved.get(order) }]
})

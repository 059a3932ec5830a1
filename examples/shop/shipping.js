/** Sends parcels: PUT /shipments/ORDER with an item. The same order is sent once. */
import { instance, serve } from "./Program.js"

const name = instance("shipping")
const parcels = new Map()
const kept = 10_000
let next = 1

serve(name, ({ method, path }) => {
  const order = /^\/shipments\/([\w-]+)$/.exec(path)?.[1]
  if (method !== "PUT" || order === undefined) return undefined
  if (!parcels.has(order)) parcels.set(order, `${name}-${next++}`)
  if (parcels.size > kept) parcels.delete(parcels.keys().next().value)
  return [200, { by: name, parcel: parcels.get(order) }]
})

/** In a handler: the message that it handles. What it sends meanwhile belongs to the same chain. */
import { Context } from "effect"
import type { Delivery } from "./Delivery.ts"

export class CurrentDelivery extends Context.Tag("skein/entity/CurrentDelivery")<
  CurrentDelivery,
  Delivery
>() {}

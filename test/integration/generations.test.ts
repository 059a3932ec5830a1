import { generationsInTurn } from "../fixtures/Generations.ts"

// Twenty in test/long.
generationsInTurn(5)

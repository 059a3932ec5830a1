// Takes money, and asks inventory what things cost: a name is all it knows of it.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example/payment/shopv1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

type payments struct {
	shopv1.UnimplementedPaymentsServer
	inventory shopv1.InventoryClient
}

func (p payments) Charge(ctx context.Context, item *shopv1.Item) (*shopv1.Receipt, error) {
	ctx, cancel := context.WithTimeout(handedOn(ctx), 5*time.Second)
	defer cancel()
	price, err := p.inventory.Price(ctx, item)
	if err != nil {
		return nil, err
	}
	return &shopv1.Receipt{By: "Go", Cents: price.Cents}, nil
}

// Whose trace it is: every service should hand that on from call to call.
func handedOn(ctx context.Context) context.Context {
	for _, key := range []string{"traceparent", "tracestate"} {
		for _, value := range metadata.ValueFromIncomingContext(ctx, key) {
			ctx = metadata.AppendToOutgoingContext(ctx, key, value)
		}
	}
	return ctx
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// inventory.mesh:50051. Where the system does not know such names, gRPC is told whom to ask.
func target(name string) string {
	at := name + ".mesh:" + env("SHOP_PORT", "50051")
	if resolver := os.Getenv("SHOP_RESOLVER"); resolver != "" {
		return "dns://" + resolver + "/" + at
	}
	return at
}

func main() {
	inventory, err := grpc.NewClient(target("inventory"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+env("PORT", "0"))
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	shopv1.RegisterPaymentsServer(server, payments{inventory: shopv1.NewInventoryClient(inventory)})
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		<-ended.Done()
		server.GracefulStop()
	}()
	fmt.Println("Payments listens on", listener.Addr())
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}

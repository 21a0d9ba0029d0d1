//! The ways in which a hub finds the gateway, each with its CA verified.

use std::net::IpAddr;
use std::process::Command;

use e2e::lab::ports::own_address;
use e2e::lab::{
    ControlPlane, ControlPlaneOptions, Exposure, Gateway, GatewayOptions, Login, Registration, shared,
    shared_gateway, whoami,
};

#[tokio::test]
async fn behind_the_shared_hub_each_member_answers_with_its_own_name() {
    let lab = shared().await;
    shared_gateway().await;
    let login = Login::Certificate(lab.hub().admin());
    for member in lab.members() {
        let client = lab.hub().client_through(member.name(), &login).await.unwrap();
        assert_eq!(whoami(&client).await.unwrap(), member.name());
    }
}

#[tokio::test]
async fn an_ordinary_service_on_a_loopback_range_leads_to_it() {
    let address: IpAddr = [127, 77, 0, 10].into();
    let options = ControlPlaneOptions::hub("exposure-cluster-ip").service_cidr("127.77.0.0/24");
    let hub = shared().await.start_control_plane(options).await.unwrap();
    answers_behind(&hub, address, Exposure::ClusterIp(address)).await;
}

#[tokio::test]
async fn a_hub_that_routes_to_endpoints_leads_to_it() {
    let borrowed;
    let address = match own_address() {
        Ok(address) => address,
        // A machine without a network.
        Err(none) => match Borrowed::new() {
            Ok(made) => {
                borrowed = made;
                borrowed.address()
            }
            Err(why) => {
                assert!(
                    !rustix::process::geteuid().is_root() || why.contains("not permitted"),
                    "as root: {why}"
                );
                eprintln!(
                    "left out: endpoints may not hold a loopback address; {none:#}, and this user may not add one: {why}"
                );
                return;
            }
        },
    };
    let options = ControlPlaneOptions::hub("exposure-endpoints").flag("--enable-aggregator-routing=true");
    let hub = shared().await.start_control_plane(options).await.unwrap();
    answers_behind(&hub, address, Exposure::Endpoint(address)).await;
}

/// An address that no network leads to (RFC 2544), on the loopback interface until this is dropped.
struct Borrowed;

impl Borrowed {
    const ADDRESS: &str = "198.18.77.1";

    fn new() -> Result<Self, String> {
        Self::ip("add").map(|()| Self)
    }

    fn address(&self) -> IpAddr {
        Self::ADDRESS.parse().unwrap()
    }

    fn ip(verb: &str) -> Result<(), String> {
        let address = format!("{}/32", Self::ADDRESS);
        let tried = Command::new("ip").args(["address", verb, &address, "dev", "lo"]).output();
        match tried {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(format!("ip: {error}")),
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // Nobody is harmed by one that stays.
        let _ = Self::ip("del");
    }
}

async fn answers_behind(hub: &ControlPlane, bind: IpAddr, exposure: Exposure) {
    let member = shared().await.member(0);
    let options = GatewayOptions { bind, ..GatewayOptions::new(hub, "exposed") };
    let gateway = Gateway::start(hub, options).await.unwrap();
    let client = hub.admin_client().await.unwrap();
    Registration::member_by_token("exposed", member).await.unwrap().apply(&client).await.unwrap();
    gateway.expose(hub, exposure).await.unwrap();
    let login = Login::Certificate(hub.admin());
    let through = hub.client_through(member.name(), &login).await.unwrap();
    assert_eq!(whoami(&through).await.unwrap(), member.name());
}

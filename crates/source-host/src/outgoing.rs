//! `wasi:http` as wasmtime has it, for any number of requests.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{
    ErrorCode, FutureIncomingResponse, Host as _, LinkOptions, OutgoingRequest, RequestOptions, add_to_linker,
};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _};

use crate::instance::State;

type Arguments = (Resource<OutgoingRequest>, Option<Resource<RequestOptions>>);
type Handled = Result<Resource<FutureIncomingResponse>, ErrorCode>;

/// Links `wasi:http`'s types and its outgoing half.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    add_to_linker::<State, WasiHttp>(linker, &LinkOptions::default(), State::http)?;
    linker.instance("wasi:http/outgoing-handler@0.2.0")?.func_wrap("handle", handle)
}

/// wasmtime's own `handle` reads the options, which are handed over to it, and leaves them in the table: after as many
/// requests as an instance may hold handles there would be no room for another one.
fn handle(mut store: StoreContextMut<'_, State>, (request, options): Arguments) -> wasmtime::Result<(Handled,)> {
    let mut http = store.data_mut().http();
    let given = options.as_ref().map(|options| Resource::<RequestOptions>::new_own(options.rep()));
    let handled = http.handle(request, options);
    if let Some(given) = given {
        http.table.delete(given)?;
    }
    Ok((match handled {
        Ok(future) => Ok(future),
        Err(error) => Err(http.convert_error_code(error)?),
    },))
}

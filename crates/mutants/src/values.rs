//! What a function may return without doing anything.

use syn::{GenericArgument, PathArguments, ReturnType, Type};

/// Values of a return type, as expressions. One that its type does not have is thrown out by the compiler.
pub(crate) fn of_return(output: &ReturnType) -> Vec<String> {
    match output {
        ReturnType::Default => vec!["()".to_owned()],
        ReturnType::Type(_, written) => of_type(written),
    }
}

fn of_type(written: &Type) -> Vec<String> {
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    match written {
        Type::Tuple(tuple) if tuple.elems.is_empty() => owned(&["()"]),
        Type::Tuple(tuple) => tuple
            .elems
            .iter()
            .fold(vec!["(".to_owned()], |begun, element| {
                let values = of_type(element);
                begun.iter().flat_map(|begun| values.iter().map(move |value| format!("{begun}{value}, "))).collect()
            })
            .into_iter()
            .map(|begun| begun + ")")
            .collect(),
        Type::Reference(reference) => match reference.elem.as_ref() {
            Type::Path(path) if path.path.is_ident("str") => owned(&["\"\"", "\"xyzzy\""]),
            Type::Slice(_) => owned(&["&[]"]),
            _ => Vec::new(),
        },
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return Vec::new() };
            let inner = match &last.arguments {
                PathArguments::AngleBracketed(given) => given.args.first(),
                _ => None,
            };
            let inner = match inner {
                Some(GenericArgument::Type(inner)) => of_type(inner),
                _ => Vec::new(),
            };
            let around = |name: &str| inner.iter().map(|value| format!("{name}({value})")).collect::<Vec<_>>();
            match last.ident.to_string().as_str() {
                "bool" => owned(&["true", "false"]),
                "u8" | "u16" | "u32" | "u64" | "usize" => owned(&["0", "1"]),
                "i8" | "i16" | "i32" | "i64" | "isize" | "Ticks" => owned(&["0", "1", "-1"]),
                "String" => owned(&["String::new()", "\"xyzzy\".to_owned()"]),
                "Option" => [vec!["None".to_owned()], around("Some")].concat(),
                "Result" if inner.is_empty() => owned(&["Ok(())"]),
                "Result" => around("Ok"),
                "Box" => around("Box::new"),
                "Vec" => owned(&["Vec::new()"]),
                "Tick" => owned(&["Tick(0)"]),
                _ => owned(&["Default::default()"]),
            }
        }
        // A body that returns at once has one type, and what follows would have another.
        _ => Vec::new(),
    }
}
